#include "search/shrink.h"

#include <math.h>
#include <string.h>

enum { LAYER_CHOICES = 4 };

/* The choices of a layer that can still shrink. `present` is one: its step drops the block, and
 * then nothing of it is left to shrink. */
static int choices_to_shrink(const struct network *network, const struct subnetwork *sub, int index,
                             int choices[LAYER_CHOICES]) {
    if (index == LAYER_PICTURES) {
        choices[0] = RESOLUTION_CHOICE;
        return subnetwork_resolution(network, sub) + 1 < network_resolutions(network);
    }
    const struct layer *layer = &network->layers[index];
    if (layer->present >= 0 && subnetwork_value(network, sub, layer->present) == 0)
        return 0;
    const int all[LAYER_CHOICES] = {layer->width, layer->expand, layer->kernel, layer->present};
    int count = 0;
    for (int i = 0; i < LAYER_CHOICES; i++)
        if (all[i] >= 0 && sub->option[all[i]] + 1 < network->choices[all[i]].count)
            choices[count++] = all[i];
    return count;
}

void layers_to_shrink(const struct network *network, const struct subnetwork *sub,
                      struct layer_list *list) {
    int seen[MAX_LAYERS][LAYER_CHOICES];
    list->count = 0;
    for (int i = 0; i < network->layer_count; i++) {
        int *choices = seen[list->count];
        memset(choices, -1, sizeof seen[0]);
        bool wanted = choices_to_shrink(network, sub, i, choices) > 0;
        for (int j = 0; j < list->count && wanted; j++)
            wanted = memcmp(seen[j], choices, sizeof seen[0]) != 0;
        if (wanted)
            list->layers[list->count++] = i;
    }
    int pictures[LAYER_CHOICES];
    if (choices_to_shrink(network, sub, LAYER_PICTURES, pictures) > 0)
        list->layers[list->count++] = LAYER_PICTURES;
}

/* Metrics from the cheap to the slow; stops at the first that is above its target. */
static enum status meets(const struct search_space *space, struct ledger *ledger,
                         const struct subnetwork *sub, const double targets[MAX_BUDGETS],
                         double metrics[MAX_BUDGETS], bool *met) {
    *met = false;
    for (int slow = 0; slow <= 1; slow++) {
        for (int i = 0; i < space->metric_count; i++) {
            if (metric_slow(space->metrics[i]) != slow)
                continue;
            double fresh = NAN, *value = &fresh;
            if (slow) {
                struct ledger_entry *entry;
                TRY(ledger_entry(ledger, sub, &entry));
                value = &entry->metrics[i];
            }
            if (isnan(*value))
                TRY(metric_value(space->metrics[i], sub, value));
            metrics[i] = *value;
            if (metrics[i] > targets[i])
                return STATUS_OK;
        }
    }
    *met = true;
    return STATUS_OK;
}

enum status measure(const struct search_space *space, struct ledger *ledger,
                    const struct subnetwork *sub, double metrics[MAX_BUDGETS]) {
    double any[MAX_BUDGETS];
    for (int i = 0; i < MAX_BUDGETS; i++)
        any[i] = INFINITY;
    bool met;
    return meets(space, ledger, sub, any, metrics, &met);
}

/* One step of one of the layers; false: none of them can. */
static bool step(const struct network *network, const struct layer_list *layers,
                 struct random_sequence *random, struct subnetwork *sub) {
    struct layer_list left = {0};
    int choices[LAYER_CHOICES];
    for (int i = 0; i < layers->count; i++)
        if (choices_to_shrink(network, sub, layers->layers[i], choices) > 0)
            left.layers[left.count++] = layers->layers[i];
    if (left.count == 0)
        return false;
    int layer = left.layers[random_below(random, (uint32_t)left.count)];
    int count = choices_to_shrink(network, sub, layer, choices);
    sub->option[choices[random_below(random, (uint32_t)count)]]++;
    *sub = subnetwork_canonical(network, *sub);
    return true;
}

enum status shrink(const struct search_space *space, struct ledger *ledger,
                   const struct layer_list *layers, const double targets[MAX_BUDGETS],
                   struct random_sequence *random, struct sample *sample, bool *met) {
    do
        TRY(meets(space, ledger, &sample->sub, targets, sample->metrics, met));
    while (!*met && step(space->network, layers, random, &sample->sub));
    return STATUS_OK;
}
