/* Multi-layer coordinate descent (NetAdaptV2; method 2.3): every sample shrinks L random layers. */
#include "search/descent.h"
#include "search/strategy_types.h"

static enum status create(void **state, const struct search_space *space) {
    return descent_create(state, space, space->config.samples);
}

/* Where L layers are too few for the target, more are. */
static enum status draw_one(struct descent *descent, struct random_sequence *random) {
    int layers = descent->progress.space->config.layers;
    if (layers > descent->layers.count)
        layers = descent->layers.count;
    enum drawn drawn = DRAWN_MISSED;
    for (; drawn == DRAWN_MISSED && layers <= descent->layers.count; layers++)
        TRY(descent_draw(descent, random, layers, -1, &drawn));
    return STATUS_OK;
}

static enum status draw_all(struct descent *descent, int iteration) {
    const struct search_space *space = descent->progress.space;
    for (int i = 0; i < space->config.samples; i++) {
        struct random_sequence random =
            random_sequence(space->seed, RANDOM_SEARCH, (uint64_t)iteration, (uint32_t)i);
        TRY(draw_one(descent, &random));
    }
    return STATUS_OK;
}

static enum status ask(void *state, struct sample **samples, int *count) {
    return descent_ask(state, draw_all, samples, count);
}

const struct strategy_type strategy_multi_layer = {.name = "multi_layer",
                                                   .descends = true,
                                                   .create = create,
                                                   .release = descent_release,
                                                   .ask = ask,
                                                   .tell = descent_tell,
                                                   .best = descent_best};
