/* Which parameters and statistics a network has, and where they lie. */
#include "network/parameters.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OFFSET_MULTIPLE = 16,
    MOST_OF_A_LAYER = 13 /* a block: 3 convolutions, 3 norms of 2, squeeze-excite's 4 */
};

static void append(struct parameters *list, int layer, const char *layer_name, const char *name,
                   struct parameter parameter) {
    parameter.layer = layer;
    snprintf(parameter.name, sizeof parameter.name, "%s.%s", layer_name, name);
    parameter.count = 1;
    for (int i = 0; i < parameter.rank; i++)
        parameter.count *= parameter.shape[i];
    parameter.offset = list->size;
    list->size += (parameter.count + OFFSET_MULTIPLE - 1) / OFFSET_MULTIPLE * OFFSET_MULTIPLE;
    list->list[list->count++] = parameter;
}

/* The layer that the list is at. */
struct place {
    struct parameters *list;
    bool statistics; /* list the statistics, else the trainable parameters */
    int layer;
    const char *layer_name;
};

static void add_weight(const struct place *at, enum parameter_part part, const char *name, int out,
                       int in, int kernel) {
    if (at->statistics)
        return;
    append(at->list, at->layer, at->layer_name, name,
           (struct parameter){.part = part,
                              .role = ROLE_WEIGHT,
                              .rank = 4,
                              .shape = {out, in, kernel, kernel},
                              .fan_in = in * kernel * kernel});
}

static void add_vector(const struct place *at, enum parameter_part part, enum parameter_role role,
                       const char *name, int count) {
    append(at->list, at->layer, at->layer_name, name,
           (struct parameter){.part = part, .role = role, .rank = 1, .shape = {count}});
}

static void add_bias(const struct place *at, enum parameter_part part, const char *name,
                     int count) {
    if (!at->statistics)
        add_vector(at, part, ROLE_BIAS, name, count);
}

static void add_norm(const struct place *at, enum parameter_part part, const char *norm,
                     int count) {
    const char *names[] = {"weight", "bias", "running_mean", "running_var"};
    const enum parameter_role roles[] = {ROLE_NORM_WEIGHT, ROLE_NORM_BIAS, ROLE_RUNNING_MEAN,
                                         ROLE_RUNNING_VARIANCE};
    for (int i = 0; i < 2; i++) {
        int which = at->statistics ? 2 + i : i;
        char name[32];
        snprintf(name, sizeof name, "%s.%s", norm, names[which]);
        add_vector(at, part, roles[which], name, count);
    }
}

static void add_block(const struct place *at, const struct layer *layer,
                      const struct layer_shape *shape) {
    if (layer->expansion) {
        add_weight(at, PART_EXPAND, "conv_pw.weight", shape->expand, shape->in, 1);
        add_norm(at, PART_EXPAND, "bn1", shape->expand);
    }
    add_weight(at, PART_DEPTHWISE, "conv_dw.weight", shape->expand, 1, shape->kernel);
    add_norm(at, PART_DEPTHWISE, "bn2", shape->expand);
    if (layer->squeeze_excite) {
        add_weight(at, PART_REDUCE, "se.conv_reduce.weight", shape->squeeze, shape->expand, 1);
        add_bias(at, PART_REDUCE, "se.conv_reduce.bias", shape->squeeze);
        add_weight(at, PART_GATE, "se.conv_expand.weight", shape->expand, shape->squeeze, 1);
        add_bias(at, PART_GATE, "se.conv_expand.bias", shape->expand);
    }
    add_weight(at, PART_PROJECT, "conv_pwl.weight", shape->filters, shape->expand, 1);
    add_norm(at, PART_PROJECT, "bn3", shape->filters);
}

static void add_layer(const struct place *at, const struct layer *layer,
                      const struct layer_shape *shape) {
    if (layer->kind == LAYER_POOL || shape->filters == 0)
        return;
    if (layer->kind == LAYER_BLOCK) {
        add_block(at, layer, shape);
        return;
    }
    add_weight(at, PART_MAIN, "weight", shape->filters, shape->in, shape->kernel);
    if (layer->kind == LAYER_LINEAR && !at->statistics)
        at->list->list[at->list->count - 1].rank = 2; /* [out][in] */
    if (layer->norm)
        add_norm(at, PART_MAIN, "bn", shape->filters);
    else
        add_bias(at, PART_MAIN, "bias", shape->filters);
}

static enum status list_of(struct parameters *list, const struct network *network,
                           bool statistics) {
    *list = (struct parameters){0};
    TRY(allocate(&list->list, (size_t)network->layer_count * MOST_OF_A_LAYER, sizeof *list->list,
                 "the list of parameters"));
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork largest = subnetwork_largest(network);
    network_shapes(network, &largest, shapes);
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        struct place at = {list, statistics, i, layer->name};
        add_layer(&at, layer, &shapes[i]);
    }
    return STATUS_OK;
}

enum status parameters_of(struct parameters *parameters, const struct network *network) {
    return list_of(parameters, network, false);
}

enum status statistics_of(struct parameters *statistics, const struct network *network) {
    return list_of(statistics, network, true);
}

void parameters_release(struct parameters *parameters) {
    free(parameters->list);
    *parameters = (struct parameters){0};
}

const struct parameter *parameters_find(const struct parameters *parameters, int layer,
                                        enum parameter_part part, enum parameter_role role) {
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        if (parameter->layer == layer && parameter->part == part && parameter->role == role)
            return parameter;
    }
    return NULL;
}
