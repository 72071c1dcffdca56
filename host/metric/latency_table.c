/* Looking up layers, and the sum. */
#include "metric/latency_table.h"
#include "network/words.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 8 /* neighbours on one side of an axis, until one has what the other axes need */ };

const char *table_kind_word(int kind) {
    return kind == TABLE_PICTURE ? "picture" : kind < TABLE_PICTURE ? layer_words[kind] : NULL;
}

void latency_table_release(struct latency_table *table) {
    free(table->layers);
    *table = (struct latency_table){0};
}

static struct table_layer table_layer_of(const struct layer *layer,
                                         const struct layer_shape *shape) {
    struct table_layer one = {.kind = layer->kind,
                              .height = shape->in_height,
                              .width = shape->in_width,
                              .stride = 1,
                              .channels = {[AXIS_IN] = shape->in}};
    if (layer->kind == LAYER_POOL)
        return one;
    one.bypass = layer->bypass;
    if (layer->kind != LAYER_LINEAR)
        one.stride = layer->stride;
    if (shape->filters == 0)
        return one;
    one.channels[AXIS_FILTERS] = shape->filters;
    one.channels[AXIS_EXPAND] = layer->expansion ? shape->expand : 0;
    one.kernel = shape->kernel;
    one.activation = layer->activation;
    one.squeeze_excite = layer->squeeze_excite;
    one.residual = layer->residual;
    return one;
}

void table_layers(const struct network *network, const struct subnetwork *sub,
                  struct table_layer *layers) {
    struct layer_shape shapes[MAX_LAYERS];
    network_shapes(network, sub, shapes);
    for (int i = 0; i < network->layer_count; i++)
        layers[i] = table_layer_of(&network->layers[i], &shapes[i]);
    struct resolution size = network_resolution(network, subnetwork_resolution(network, sub));
    layers[network->layer_count] = (struct table_layer){.kind = TABLE_PICTURE,
                                                        .height = size.height,
                                                        .width = size.width,
                                                        .stride = 1,
                                                        .channels = {network->channels}};
}

/* What must agree: all but the channels. */
static int compare_kind(const struct table_layer *a, const struct table_layer *b) {
    const int pairs[][2] = {
        {a->kind, b->kind},         {a->height, b->height},
        {a->width, b->width},       {a->kernel, b->kernel},
        {a->stride, b->stride},     {a->activation, b->activation},
        {a->bypass, b->bypass},     {a->squeeze_excite, b->squeeze_excite},
        {a->residual, b->residual}, {a->channels[AXIS_EXPAND] > 0, b->channels[AXIS_EXPAND] > 0}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i][0] != pairs[i][1])
            return pairs[i][0] < pairs[i][1] ? -1 : 1;
    return 0;
}

int table_layer_compare(const void *first, const void *second) {
    const struct table_layer *a = first, *b = second;
    int order = compare_kind(a, b);
    for (int axis = 0; axis < TABLE_AXES && order == 0; axis++)
        order = (a->channels[axis] > b->channels[axis]) - (a->channels[axis] < b->channels[axis]);
    return order;
}

const char *table_layer_text(const struct table_layer *layer, char text[160]) {
    char expand[32] = "", kernel[32] = "";
    if (layer->channels[AXIS_EXPAND] > 0)
        snprintf(expand, sizeof expand, ", expanded to %d", layer->channels[AXIS_EXPAND]);
    if (layer->kernel > 0)
        snprintf(kernel, sizeof kernel, ", kernel %d", layer->kernel);
    snprintf(text, 160, "%s of %d to %d channels%s%s, stride %d, bypass %d, %dx%d pixels, %s%s%s",
             table_kind_word(layer->kind), layer->channels[AXIS_IN], layer->channels[AXIS_FILTERS],
             expand, kernel, layer->stride, layer->bypass, layer->height, layer->width,
             activation_words[layer->activation], layer->squeeze_excite ? ", squeeze-excite" : "",
             layer->residual ? ", residual" : "");
    return text;
}

enum status latency_table_sort(struct latency_table *table) {
    char text[160];
    if (table->count > 0)
        qsort(table->layers, (size_t)table->count, sizeof *table->layers, table_layer_compare);
    for (int i = 1; i < table->count; i++)
        if (table_layer_compare(&table->layers[i - 1], &table->layers[i]) == 0)
            return fail(STATUS_USAGE, "a layer is there twice: %s",
                        table_layer_text(&table->layers[i], text));
    return STATUS_OK;
}

struct lookup {
    const struct table_layer *wanted;
    const struct table_layer *kin; /* all layers that differ in channels only */
    int count;
    bool alone;
};

/* The nearest number of channels below (or above) `from` of kin with the same channels on earlier
 * axes; 0: none. Layers without a dimension have 0 of it, which nothing lies below. */
static int neighbour(const struct lookup *lookup, int axis, const int channels[TABLE_AXES],
                     int from, bool below) {
    int nearest = 0;
    for (int i = 0; i < lookup->count; i++) {
        const int *theirs = lookup->kin[i].channels;
        int value = theirs[axis];
        if (memcmp(theirs, channels, (size_t)axis * sizeof *channels) != 0 ||
            (below ? value >= from : value <= from))
            continue;
        if (nearest == 0 || (below ? value > nearest : value < nearest))
            nearest = value;
    }
    return nearest;
}

static bool known(const struct lookup *lookup, const int channels[TABLE_AXES],
                  double *milliseconds) {
    if (lookup->alone &&
        memcmp(channels, lookup->wanted->channels, sizeof lookup->wanted->channels) == 0)
        return false;
    for (int i = 0; i < lookup->count; i++)
        if (memcmp(lookup->kin[i].channels, channels, sizeof lookup->kin[i].channels) == 0) {
            *milliseconds = lookup->kin[i].milliseconds;
            return true;
        }
    return false;
}

static bool find(const struct lookup *lookup, int axis, int channels[TABLE_AXES],
                 double *milliseconds);

/* channels[axis] is where it was found. */
static bool find_beside(const struct lookup *lookup, int axis, int channels[TABLE_AXES], bool below,
                        double *milliseconds) {
    int at = lookup->wanted->channels[axis];
    for (int tries = 0; tries < TRIES; tries++) {
        channels[axis] = at = neighbour(lookup, axis, channels, at, below);
        if (at == 0)
            return false;
        if (find(lookup, axis + 1, channels, milliseconds))
            return true;
    }
    return false;
}

/* Linear along one axis after the other. */
static bool find(const struct lookup *lookup, int axis, int channels[TABLE_AXES],
                 double *milliseconds) {
    if (axis == TABLE_AXES)
        return known(lookup, channels, milliseconds);
    int wanted = channels[axis] = lookup->wanted->channels[axis];
    double low, high;
    if (find(lookup, axis + 1, channels, milliseconds))
        return true;
    if (!find_beside(lookup, axis, channels, true, &low))
        return false;
    int from = channels[axis];
    if (!find_beside(lookup, axis, channels, false, &high))
        return false;
    *milliseconds = low + (high - low) * (wanted - from) / (channels[axis] - from);
    return true;
}

/* The first layer that is not before the wanted one's kin (or, `behind`, that is after them). */
static int kin_begin(const struct latency_table *table, const struct table_layer *layer,
                     bool behind) {
    int low = 0, high = table->count;
    while (low < high) {
        int middle = low + (high - low) / 2, order = compare_kind(&table->layers[middle], layer);
        if (order < 0 || (behind && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool latency_table_find(const struct latency_table *table, const struct table_layer *layer,
                        bool alone, double *milliseconds) {
    int channels[TABLE_AXES] = {0}, first = kin_begin(table, layer, false);
    const struct lookup lookup = {.wanted = layer,
                                  .kin = table->layers + first,
                                  .count = kin_begin(table, layer, true) - first,
                                  .alone = alone};
    return lookup.count > 0 && find(&lookup, 0, channels, milliseconds);
}

enum status latency_table_sum(const struct latency_table *table, const struct network *network,
                              const struct subnetwork *sub, double *milliseconds) {
    struct table_layer layers[MAX_LAYERS + 1];
    char text[160];
    double sum = 0, one;
    table_layers(network, sub, layers);
    for (int i = 0; i <= network->layer_count; i++) {
        if (!latency_table_find(table, &layers[i], false, &one))
            return fail(STATUS_USAGE,
                        "the latency table has no layers from which to tell the time of \"%s\", a "
                        "%s; build it for this space",
                        i < network->layer_count ? network->layers[i].name : "picture",
                        table_layer_text(&layers[i], text));
        sum += one;
    }
    *milliseconds = sum;
    return STATUS_OK;
}
