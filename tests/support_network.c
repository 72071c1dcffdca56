#include "support_network.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void network_begin(struct network *network, int height, int width, int channels, int classes) {
    *network = (struct network){
        .height = height, .width = width, .channels = channels, .classes = classes};
    if (allocate(&network->layers, MAX_LAYERS, sizeof *network->layers, "layers") != STATUS_OK ||
        allocate(&network->choices, MAX_CHOICES, sizeof *network->choices, "choices") != STATUS_OK)
        abort();
}

static int add_choice(struct network *network, const char *layer, const char *dimension,
                      enum choice_kind kind, const int *options) {
    if (options == NULL)
        return -1;
    struct choice *choice = &network->choices[network->choice_count];
    snprintf(choice->name, sizeof choice->name, "%s.%s", layer, dimension);
    choice->kind = kind;
    /* 0 ends a list, except as the last option of a present choice */
    int last = kind == CHOICE_PRESENT ? 2 : MAX_OPTIONS;
    while (choice->count < last && (options[choice->count] != 0 || kind == CHOICE_PRESENT)) {
        choice->options[choice->count] = options[choice->count];
        choice->count++;
    }
    return network->choice_count++;
}

int network_add(struct network *network, struct layer layer, struct dimensions dimensions) {
    layer.input = network->layer_count - 1;
    layer.stride = layer.stride ? layer.stride : 1;
    layer.expansion = dimensions.expand != NULL;
    layer.width = add_choice(network, layer.name, "width", CHOICE_WIDTH, dimensions.width);
    layer.expand = add_choice(network, layer.name, "expand", CHOICE_WIDTH, dimensions.expand);
    layer.kernel = add_choice(network, layer.name, "kernel", CHOICE_KERNEL, dimensions.kernel);
    layer.present = add_choice(network, layer.name, "present", CHOICE_PRESENT,
                               dimensions.may_be_absent ? (const int[]){1, 0} : NULL);
    network->layers[network->layer_count] = layer;
    return network->layer_count++;
}

void network_add_pool(struct network *network) {
    network_add(network, (struct layer){.name = "pool", .kind = LAYER_POOL},
                (struct dimensions){0});
}

void network_add_classifier(struct network *network) {
    network_add(network, (struct layer){.name = "classifier", .kind = LAYER_LINEAR},
                (struct dimensions){.width = OPTIONS(network->classes)});
}

void network_add_resolutions(struct network *network, const int *heights, const int *widths) {
    struct choice *choice = &network->choices[RESOLUTION_CHOICE];
    memmove(choice + 1, choice, (size_t)network->choice_count * sizeof *choice);
    network->choice_count++;
    *choice = (struct choice){.name = "resolution", .kind = CHOICE_RESOLUTION};
    for (; heights[choice->count] != 0; choice->count++) {
        choice->options[choice->count] = heights[choice->count];
        network->widths[choice->count] = widths[choice->count];
    }
    for (int i = 0; i < network->layer_count; i++) {
        struct layer *layer = &network->layers[i];
        int *each[] = {&layer->width, &layer->expand, &layer->kernel, &layer->present};
        for (int j = 0; j < 4; j++)
            *each[j] += *each[j] >= 0;
    }
}

void network_s(struct network *network, int height, int width, int channels, const int kernels[8]) {
    static const int rows[8][3] = {{16, 48, 1}, {16, 48, 2}, {24, 64, 1}, {24, 72, 2},
                                   {32, 72, 1}, {32, 96, 1}, {32, 96, 1}, {32, 96, 2}};
    network_begin(network, height, width, channels, 10);
    network_add(network,
                (struct layer){.name = "stem",
                               .kind = LAYER_CONVOLUTION,
                               .activation = ACTIVATION_RELU6,
                               .norm = true},
                (struct dimensions){.width = OPTIONS(16), .kernel = OPTIONS(3)});
    int in = 16;
    for (int i = 0; i < 8; i++) {
        int out = rows[i][0], stride = rows[i][2];
        struct layer layer = {.kind = LAYER_BLOCK,
                              .stride = stride,
                              .activation = ACTIVATION_RELU6,
                              .residual = stride == 1 && in == out,
                              .bypass = stride == 1 ? out : 0};
        snprintf(layer.name, sizeof layer.name, "block%d", i + 1);
        network_add(network, layer,
                    (struct dimensions){.width = OPTIONS(out),
                                        .expand = OPTIONS(rows[i][1]),
                                        .kernel = OPTIONS(kernels[i])});
        in = out;
    }
    network_add_pool(network);
    network_add_classifier(network);
}
