#include "network/draw.h"

/* The block that a choice may drop; NULL: it is no such choice. */
static const struct layer *dropped_by(const struct network *network, int choice) {
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].present == choice && network->choices[choice].count > 1)
            return &network->layers[i];
    return NULL;
}

short choice_draw(const struct network *network, int choice, struct random_sequence *random) {
    const struct layer *block = dropped_by(network, choice);
    if (block == NULL)
        return (short)random_below(random, (uint32_t)network->choices[choice].count);
    return (short)(random_below(random, (uint32_t)network->choices[block->width].count + 1) == 0);
}

struct subnetwork subnetwork_draw(const struct network *network, struct random_sequence *random) {
    struct subnetwork sub = {0};
    for (int i = 0; i < network->choice_count; i++)
        sub.option[i] = choice_draw(network, i, random);
    return subnetwork_canonical(network, sub);
}
