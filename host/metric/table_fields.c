#include "metric/table_fields.h"
#include "network/words.h"

#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(struct table_layer, member)

const struct table_number table_numbers[TABLE_NUMBERS] = {
    {"in", AT(channels[AXIS_IN]), 1, MAX_TABLE_NUMBER},
    {"expand", AT(channels[AXIS_EXPAND]), 0, MAX_TABLE_NUMBER},
    {"filters", AT(channels[AXIS_FILTERS]), 0, MAX_TABLE_NUMBER},
    {"kernel", AT(kernel), 0, MAX_TABLE_NUMBER},
    {"stride", AT(stride), 1, MAX_TABLE_NUMBER},
    {"height", AT(height), 1, MAX_TABLE_NUMBER},
    {"width", AT(width), 1, MAX_TABLE_NUMBER},
    {"bypass", AT(bypass), 0, MAX_TABLE_NUMBER},
    {"squeeze_excite", AT(squeeze_excite), 0, 1},
    {"residual", AT(residual), 0, 1},
};

int table_find_kind(const char *word) {
    for (int kind = 0; table_kind_word(kind) != NULL; kind++)
        if (strcmp(table_kind_word(kind), word) == 0)
            return kind;
    return -1;
}

int table_find_activation(const char *word) {
    for (int i = 0; activation_words[i] != NULL; i++)
        if (strcmp(activation_words[i], word) == 0)
            return i;
    return -1;
}

const char *table_layer_fault(const struct table_layer *layer) {
    bool convolves = layer->kind == LAYER_CONVOLUTION || layer->kind == LAYER_LINEAR;
    bool present = layer->channels[AXIS_FILTERS] > 0;
    if (layer->kind != LAYER_BLOCK && layer->channels[AXIS_EXPAND] > 0)
        return "only a block expands";
    if (convolves && !present)
        return "it has no filters";
    if (present != (layer->kernel > 0))
        return "filters and a kernel go together";
    if (present && layer->kind != LAYER_BLOCK && !convolves)
        return "it has no filters of its own";
    return NULL;
}
