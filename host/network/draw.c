#include "network/draw.h"

struct subnetwork subnetwork_draw(const struct network *network, struct random_sequence *random) {
    struct subnetwork sub = {0};
    for (int i = 0; i < network->choice_count; i++)
        sub.option[i] = (short)random_below(random, (uint32_t)network->choices[i].count);
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->present >= 0 && network->choices[layer->present].count > 1)
            sub.option[layer->present] =
                (short)(random_below(random, (uint32_t)network->choices[layer->width].count + 1) ==
                        0);
    }
    return subnetwork_canonical(network, sub);
}
