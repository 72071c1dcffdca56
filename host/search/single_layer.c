/* Single-layer coordinate descent (NetAdapt, MobileNetV3): every sample shrinks one layer, and
 * every layer is tried once per iteration. The baseline of the multi-layer kind.
 */
#include "search/descent.h"
#include "search/strategy_types.h"

static enum status create(void **state, const struct search_space *space) {
    return descent_create(state, space, space->network->layer_count + 1); /* the pictures */
}

/* A layer that cannot meet the target alone gives no sample. Where none can, each is helped by one
 * random other layer, then by two, ... */
static enum status draw_all(struct descent *descent, int iteration) {
    const struct search_space *space = descent->progress.space;
    bool found = false;
    for (int layers = 1; !found && layers <= descent->layers.count; layers++) {
        for (int i = 0; i < descent->layers.count; i++) {
            struct random_sequence random =
                random_sequence(space->seed, RANDOM_SEARCH, (uint64_t)iteration,
                                (uint32_t)(layers * MAX_LAYERS + i));
            enum drawn drawn;
            TRY(descent_draw(descent, &random, layers, i, &drawn));
            found = found || drawn != DRAWN_MISSED;
        }
    }
    return STATUS_OK;
}

static enum status ask(void *state, struct sample **samples, int *count) {
    return descent_ask(state, draw_all, samples, count);
}

const struct strategy_type strategy_single_layer = {.name = "single_layer",
                                                    .descends = true,
                                                    .create = create,
                                                    .release = descent_release,
                                                    .ask = ask,
                                                    .tell = descent_tell,
                                                    .best = descent_best};
