#include "training/optimise.h"
#include "support/memory.h"

#include <stdlib.h>

enum status decay_ranges_of(struct decay_ranges *ranges, const struct parameters *parameters) {
    *ranges = (struct decay_ranges){0};
    TRY(allocate(&ranges->list, (size_t)parameters->count, sizeof *ranges->list,
                 "ranges of weight decay"));
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        bool decays = parameter->role == ROLE_WEIGHT;
        if (ranges->count == 0 || ranges->list[ranges->count - 1].decays != decays)
            ranges->list[ranges->count++] =
                (struct decay_range){.first = parameter->offset, .decays = decays};
        struct decay_range *last = &ranges->list[ranges->count - 1];
        last->count = parameter->offset + parameter->count - last->first;
    }
    return STATUS_OK;
}

void decay_ranges_release(struct decay_ranges *ranges) {
    free(ranges->list);
    *ranges = (struct decay_ranges){0};
}

enum status optimise(struct training_state *state, const struct training_config *config,
                     const struct decay_ranges *ranges, const struct ops *ops, double rate,
                     const real *gradient) {
    struct update update = {.kind = config->optimiser,
                            .rate = (real)rate,
                            .momentum = (real)config->momentum,
                            .alpha = (real)config->alpha,
                            .epsilon = (real)config->epsilon,
                            .nesterov = config->nesterov};
    for (int i = 0; i < ranges->count; i++) {
        const struct decay_range *range = &ranges->list[i];
        size_t first = range->first;
        update.decay = range->decays ? (real)config->weight_decay : 0;
        TRY(ops->update(&update, range->count, state->weights + first, gradient + first,
                        state->velocity + first, state->square ? state->square + first : NULL));
    }
    return STATUS_OK;
}
