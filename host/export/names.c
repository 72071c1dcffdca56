#include "export/names.h"

#include <stdio.h>
#include <string.h>

struct place {
    int stage, block;
};

static bool in_blocks(const struct network *network, int layer) {
    enum layer_kind kind = network->layers[layer].kind;
    return kind == LAYER_BLOCK || (kind == LAYER_CONVOLUTION && layer > 0);
}

static struct place place_of(const struct network *network, int layer) {
    struct place place = {-1, 0};
    for (int i = 0; i <= layer; i++) {
        if (!in_blocks(network, i))
            continue;
        bool begins = place.stage < 0 || !network->layers[i].residual;
        place = begins ? (struct place){place.stage + 1, 0}
                       : (struct place){place.stage, place.block + 1};
    }
    return place;
}

int names_stage(const struct network *network, int layer) {
    return in_blocks(network, layer) ? place_of(network, layer).stage : -1;
}

static void name_linear(const struct network *network, int layer, char name[LAYER_NAME]) {
    int number = 1;
    for (int i = 0; i < layer; i++)
        number += network->layers[i].kind == LAYER_LINEAR;
    if (layer == network->layer_count - 1)
        snprintf(name, LAYER_NAME, "classifier");
    else if (number == 1)
        snprintf(name, LAYER_NAME, "conv_head");
    else
        snprintf(name, LAYER_NAME, "conv_head%d", number);
}

const char *names_layer(const struct network *network, int layer, char name[LAYER_NAME]) {
    name[0] = '\0';
    if (in_blocks(network, layer)) {
        struct place place = place_of(network, layer);
        snprintf(name, LAYER_NAME, "blocks.%d.%d", place.stage, place.block);
    } else if (network->layers[layer].kind == LAYER_CONVOLUTION) {
        snprintf(name, LAYER_NAME, "conv_stem");
    } else if (network->layers[layer].kind == LAYER_LINEAR) {
        name_linear(network, layer, name);
    }
    return name;
}

/* Of a part of a layer in the blocks: its convolution and its norm. */
struct part_names {
    const char *convolution, *norm;
};

static struct part_names names_of_part(const struct layer *layer, enum parameter_part part) {
    static const struct part_names expanded[] = {
        [PART_MAIN] = {"conv", "bn1"},         [PART_EXPAND] = {"conv_pw", "bn1"},
        [PART_DEPTHWISE] = {"conv_dw", "bn2"}, [PART_REDUCE] = {"se.conv_reduce", ""},
        [PART_GATE] = {"se.conv_expand", ""},  [PART_PROJECT] = {"conv_pwl", "bn3"}};
    if (layer->expansion || (part != PART_DEPTHWISE && part != PART_PROJECT))
        return expanded[part];
    return part == PART_DEPTHWISE ? (struct part_names){"conv_dw", "bn1"}
                                  : (struct part_names){"conv_pw", "bn2"};
}

static const char *role_name(enum parameter_role role) {
    static const char *const roles[] = {[ROLE_WEIGHT] = "weight",
                                        [ROLE_BIAS] = "bias",
                                        [ROLE_NORM_WEIGHT] = "weight",
                                        [ROLE_NORM_BIAS] = "bias",
                                        [ROLE_RUNNING_MEAN] = "running_mean",
                                        [ROLE_RUNNING_VARIANCE] = "running_var"};
    return roles[role];
}

static void name_parameter(const struct network *network, struct parameter *parameter) {
    char layer[LAYER_NAME];
    bool of_norm = parameter->role != ROLE_WEIGHT && parameter->role != ROLE_BIAS;
    names_layer(network, parameter->layer, layer);
    if (in_blocks(network, parameter->layer)) {
        struct part_names part = names_of_part(&network->layers[parameter->layer], parameter->part);
        snprintf(parameter->name, sizeof parameter->name, "%s.%s.%s", layer,
                 of_norm ? part.norm : part.convolution, role_name(parameter->role));
    } else {
        snprintf(parameter->name, sizeof parameter->name, "%s.%s", of_norm ? "bn1" : layer,
                 role_name(parameter->role));
    }
}

void names_timm(const struct network *network, struct parameters *list) {
    for (int i = 0; i < list->count; i++) {
        struct parameter *parameter = &list->list[i];
        name_parameter(network, parameter);
        bool head = network->layers[parameter->layer].kind == LAYER_LINEAR &&
                    parameter->layer < network->layer_count - 1;
        if (head && parameter->role == ROLE_WEIGHT) {
            parameter->rank = 4;
            parameter->shape[2] = parameter->shape[3] = 1;
        }
    }
}
