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

static enum status create_good(struct training_state *state, const struct training_config *config) {
    TRY(allocate(&state->good, 1, sizeof *state->good, "a good state"));
    state->good->parameters = state->parameters;
    state->good->statistics = state->statistics;
    return create_vectors(state->good, config);
}

enum status state_create(struct training_state *state, const struct training_config *config,
                         size_t parameters, size_t statistics) {
    *state = (struct training_state){
        .parameters = parameters, .statistics = statistics, .guard.good_step = -1};
    enum status status = create_vectors(state, config);
    if (status == STATUS_OK && config->guard_returns > 0)
        status = create_good(state, config);
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
    if (state->good != NULL)
        state_release(state->good);
    free(state->good);
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

size_t state_bytes(const struct training_state *state) {
    struct training_state copy = *state;
    struct vector vectors[VECTORS];
    size_t bytes = state->good != NULL ? state_bytes(state->good) : 0;
    vectors_of(&copy, vectors);
    for (int i = 0; i < VECTORS; i++)
        bytes += *vectors[i].values != NULL ? vectors[i].count * sizeof(real) : 0;
    return bytes;
}

enum status state_broadcast(struct training_state *state, struct cluster *cluster) {
    struct vector vectors[VECTORS];
    vectors_of(state, vectors);
    TRY(cluster_broadcast(cluster, &state->step, sizeof state->step));
    TRY(cluster_broadcast(cluster, &state->guard, sizeof state->guard));
    for (int i = 0; i < VECTORS; i++)
        if (*vectors[i].values != NULL)
            TRY(cluster_broadcast(cluster, *vectors[i].values, vectors[i].count * sizeof(real)));
    return state->good != NULL ? state_broadcast(state->good, cluster) : STATUS_OK;
}

static enum status take_vectors(struct training_state *mirror, const struct memory *memory) {
    struct vector vectors[VECTORS];
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

enum status state_mirror(struct training_state *mirror, const struct training_state *state,
                         const struct memory *memory) {
    *mirror = *state;
    if (!memory->separate)
        return STATUS_OK;
    mirror->good = NULL;
    TRY(take_vectors(mirror, memory));
    if (state->good == NULL)
        return STATUS_OK;
    TRY(allocate(&mirror->good, 1, sizeof *mirror->good, "a good state"));
    return state_mirror(mirror->good, state->good, memory);
}

void state_mirror_release(struct training_state *mirror, const struct memory *memory) {
    struct vector vectors[VECTORS];
    vectors_of(mirror, vectors);
    for (int i = 0; memory->separate && i < VECTORS; i++)
        memory->give_back(*vectors[i].values);
    if (memory->separate && mirror->good != NULL) {
        state_mirror_release(mirror->good, memory);
        free(mirror->good);
    }
    *mirror = (struct training_state){0};
}

enum status state_copy(struct training_state *to, const struct training_state *from,
                       const struct memory *memory) {
    struct vector into[VECTORS], of[VECTORS];
    struct training_state source = *from;
    vectors_of(to, into);
    vectors_of(&source, of);
    for (int i = 0; i < VECTORS; i++)
        if (*into[i].values != NULL)
            TRY(memory->copy(*into[i].values, *of[i].values, into[i].count * sizeof(real)));
    return STATUS_OK;
}

static enum status copy_all(struct training_state *to, const struct training_state *from,
                            const struct memory *memory) {
    if (memory->separate) {
        TRY(state_copy(to, from, memory));
        if (to->good != NULL)
            TRY(state_copy(to->good, from->good, memory));
    }
    return memory->finish();
}

enum status state_to_mirror(struct training_state *mirror, const struct training_state *state,
                            const struct memory *memory) {
    return copy_all(mirror, state, memory);
}

enum status state_from_mirror(struct training_state *state, const struct training_state *mirror,
                              const struct memory *memory) {
    return copy_all(state, mirror, memory);
}

const real *state_result(const struct training_state *state) {
    return state->average ? state->average : state->weights;
}

const real *state_result_statistics(const struct training_state *state) {
    return state->average_running ? state->average_running : state->running;
}
