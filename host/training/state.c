#include "training/state.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status vector(real **values, size_t count, bool wanted, const char *what) {
    *values = NULL;
    return wanted ? allocate(values, count + READ_SLACK, sizeof(real), what) : STATUS_OK;
}

static enum status create_vectors(struct training_state *state,
                                  const struct training_config *config) {
    bool average = config->ema > 0, running = state->statistics > 0;
    size_t parameters = state->parameters, statistics = state->statistics;
    TRY(vector(&state->weights, parameters, true, "the weights"));
    TRY(vector(&state->velocity, parameters, true, "the optimiser's velocity"));
    TRY(vector(&state->square, parameters, config->optimiser == OPTIMISER_RMSPROP,
               "the optimiser's mean squares"));
    TRY(vector(&state->average, parameters, average, "the weights' average"));
    TRY(vector(&state->running, statistics, running, "the running statistics"));
    return vector(&state->average_running, statistics, running && average,
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

const real *state_result(const struct training_state *state) {
    return state->average ? state->average : state->weights;
}

const real *state_result_statistics(const struct training_state *state) {
    return state->average_running ? state->average_running : state->running;
}
