#include "training/state.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status create_vector(real **values, size_t count, bool wanted, const char *what) {
    *values = NULL;
    return wanted ? allocate(values, count + READ_SLACK, sizeof(real), what) : STATUS_OK;
}

static enum status create_vectors(struct training_state *state,
                                  const struct training_config *config) {
    bool average = config->ema > 0, running = state->statistics > 0;
    size_t parameters = state->parameters, statistics = state->statistics;
    TRY(create_vector(&state->weights, parameters, true, "the weights"));
    TRY(create_vector(&state->velocity, parameters, true, "the optimiser's velocity"));
    TRY(create_vector(&state->square, parameters, config->optimiser == OPTIMISER_RMSPROP,
                      "the optimiser's mean squares"));
    TRY(create_vector(&state->average, parameters, average, "the weights' average"));
    TRY(create_vector(&state->running, statistics, running, "the running statistics"));
    return create_vector(&state->average_running, statistics, running && average,
                         "the running statistics' average");
}

enum status state_create(struct training_state *state, const struct training_config *config,
                         size_t parameters, size_t statistics) {
    *state = (struct training_state){.parameters = parameters, .statistics = statistics};
    enum status status = create_vectors(state, config);
    if (status != STATUS_OK)
        state_release(state);
    return status;
}

void state_release(struct training_state *state) {
    free(state->weights);
    free(state->velocity);
    free(state->square);
    free(state->average);
    free(state->running);
    free(state->average_running);
    *state = (struct training_state){0};
}

void state_begin(struct training_state *state) {
    if (state->average)
        memcpy(state->average, state->weights, state->parameters * sizeof(real));
    if (state->average_running)
        memcpy(state->average_running, state->running, state->statistics * sizeof(real));
}

enum { VECTORS = 6 };

struct vector {
    real **values;
    size_t count;
};

static void vectors_of(struct training_state *state, struct vector vectors[VECTORS]) {
    const struct vector all[VECTORS] = {
        {&state->weights, state->parameters}, {&state->velocity, state->parameters},
        {&state->square, state->parameters},  {&state->average, state->parameters},
        {&state->running, state->statistics}, {&state->average_running, state->statistics},
    };
    memcpy(vectors, all, sizeof all);
}

enum status state_mirror(struct training_state *mirror, const struct training_state *state,
                         const struct memory *memory) {
    struct vector vectors[VECTORS];
    *mirror = *state;
    if (!memory->separate)
        return STATUS_OK;
    vectors_of(mirror, vectors);
    enum status status = STATUS_OK;
    for (int i = 0; i < VECTORS; i++) {
        bool wanted = *vectors[i].values != NULL && status == STATUS_OK;
        *vectors[i].values = NULL;
        if (wanted)
            status = memory->take(vectors[i].values, (vectors[i].count + READ_SLACK) * sizeof(real),
                                  "the training state");
    }
    return status;
}

void state_mirror_release(struct training_state *mirror, const struct memory *memory) {
    struct vector vectors[VECTORS];
    vectors_of(mirror, vectors);
    for (int i = 0; memory->separate && i < VECTORS; i++)
        memory->give_back(*vectors[i].values);
    *mirror = (struct training_state){0};
}

static enum status copy_vectors(struct training_state *to, const struct training_state *from,
                                const struct memory *memory) {
    struct vector into[VECTORS], of[VECTORS];
    struct training_state source = *from;
    vectors_of(to, into);
    vectors_of(&source, of);
    for (int i = 0; memory->separate && i < VECTORS; i++)
        if (*into[i].values != NULL)
            TRY(memory->copy(*into[i].values, *of[i].values, into[i].count * sizeof(real)));
    return memory->finish();
}

enum status state_to_mirror(struct training_state *mirror, const struct training_state *state,
                            const struct memory *memory) {
    return copy_vectors(mirror, state, memory);
}

enum status state_from_mirror(struct training_state *state, const struct training_state *mirror,
                              const struct memory *memory) {
    return copy_vectors(state, mirror, memory);
}

const real *state_result(const struct training_state *state) {
    return state->average ? state->average : state->weights;
}

const real *state_result_statistics(const struct training_state *state) {
    return state->average_running ? state->average_running : state->running;
}
