#include "training/optimise.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum status decays_of(uint8_t **decays, const struct parameters *parameters,
                      const struct memory *memory) {
    uint8_t *list;
    TRY(allocate(&list, parameters->size, 1, "what decays"));
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        memset(list + parameter->offset, parameter->role == ROLE_WEIGHT, parameter->count);
    }
    enum status status = memory->take(decays, parameters->size, "what decays");
    if (status == STATUS_OK)
        status = memory->copy(*decays, list, parameters->size);
    free(list);
    return status;
}

enum status optimise(struct training_state *state, const struct training_config *config,
                     const uint8_t *decays, const struct ops *ops, double rate,
                     const real *gradient) {
    struct update update = {.kind = config->optimiser,
                            .rate = (real)rate,
                            .momentum = (real)config->momentum,
                            .decay = (real)config->weight_decay,
                            .alpha = (real)config->alpha,
                            .epsilon = (real)config->epsilon,
                            .nesterov = config->nesterov,
                            .decays = decays};
    return ops->update(&update, state->parameters, state->weights, gradient, state->velocity,
                       state->square);
}
