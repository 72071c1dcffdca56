#include "network/network.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

void network_release(struct network *network) {
    free(network->layers);
    free(network->choices);
    *network = (struct network){0};
}

enum status network_copy(struct network *copy, const struct network *network) {
    enum status status;
    *copy = *network;
    copy->layers = NULL;
    copy->choices = NULL;
    TRY_CLEANUP(allocate(&copy->layers, network->layer_count, sizeof *copy->layers,
                         "the layers of a network"));
    TRY_CLEANUP(allocate(&copy->choices, network->choice_count, sizeof *copy->choices,
                         "the choices of a network"));
    memcpy(copy->layers, network->layers, network->layer_count * sizeof *copy->layers);
    memcpy(copy->choices, network->choices, network->choice_count * sizeof *copy->choices);
    return STATUS_OK;
done:
    network_release(copy);
    return status;
}

struct subnetwork subnetwork_largest(const struct network *network) {
    (void)network; /* the largest option is always the first */
    return (struct subnetwork){0};
}

struct subnetwork subnetwork_smallest(const struct network *network) {
    struct subnetwork sub = {0};
    for (int i = 0; i < network->choice_count; i++)
        sub.option[i] = (short)(network->choices[i].count - 1);
    return subnetwork_canonical(network, sub);
}

struct subnetwork subnetwork_canonical(const struct network *network, struct subnetwork sub) {
    struct subnetwork canonical = {0};
    if (network_resolutions(network) > 1)
        canonical.option[RESOLUTION_CHOICE] = sub.option[RESOLUTION_CHOICE];
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (layer->present >= 0)
            canonical.option[layer->present] = sub.option[layer->present];
        if (layer->present >= 0 && subnetwork_value(network, &sub, layer->present) == 0)
            continue;
        const int used[] = {layer->width, layer->expand, layer->kernel};
        for (int j = 0; j < 3; j++)
            if (used[j] >= 0)
                canonical.option[used[j]] = sub.option[used[j]];
    }
    return canonical;
}

bool subnetwork_equal(const struct subnetwork *a, const struct subnetwork *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

enum status network_extract(struct network *alone, const struct network *network,
                            const struct subnetwork *sub) {
    TRY(network_copy(alone, network));
    struct subnetwork kept = subnetwork_canonical(network, *sub);
    struct resolution size = network_resolution(network, subnetwork_resolution(network, &kept));
    alone->height = size.height;
    alone->width = alone->widths[0] = size.width;
    for (int i = 0; i < alone->choice_count; i++) {
        alone->choices[i].count = 1;
        alone->choices[i].options[0] = subnetwork_value(network, &kept, i);
    }
    return STATUS_OK;
}
