/* The `network` section: a list of named layers, and what they leave to the search. */
#include "config/keys.h"
#include "support/memory.h"

#include <string.h>

static enum status check_keys(const struct node *node, const struct layer *layer) {
    for (const struct node *entry = node->first; entry != NULL; entry = entry->next)
        for (int i = 0; i < layer_key_count; i++)
            if (strcmp(entry->key, layer_keys[i].name) == 0 &&
                !(layer_keys[i].layers & 1 << layer->kind))
                return node_fail(entry, "layer '%s': a %s has no %s", layer->name,
                                 layer_words[layer->kind], entry->key);
    return STATUS_OK;
}

/* A new choice with a first option. */
static enum status add_choice(struct network *network, const struct node *node,
                              const struct layer *layer, const char *dimension,
                              enum choice_kind kind, int *index) {
    if (network->choice_count == MAX_CHOICES)
        return node_fail(node, "a network has at most %d choices", MAX_CHOICES);
    *index = network->choice_count++;
    struct choice *choice = &network->choices[*index];
    snprintf(choice->name, sizeof choice->name, "%s.%s", layer->name, dimension);
    choice->kind = kind;
    return STATUS_OK;
}

static enum status add_option(const struct node *node, struct choice *choice, long long value) {
    if (choice->count == MAX_OPTIONS)
        return node_fail(node, "%s has more than %d options", choice->name, MAX_OPTIONS);
    choice->options[choice->count++] = (int)value;
    return STATUS_OK;
}

enum { MOST_OPTION = 65536 };

static enum status read_range(const struct node *node, struct choice *choice) {
    static const char *const names[] = {"from", "to", "step"};
    long long value[3];
    TRY(check_known(node, names, 3));
    for (int i = 0; i < 3; i++) {
        const struct node *entry = node_find(node, names[i]);
        if (entry == NULL)
            return node_fail(node, "%s: a range is {from: 48, to: 16, step: 8}", choice->name);
        TRY(read_integer(entry, names[i], 1, MOST_OPTION, &value[i]));
    }
    if (value[1] > value[0] || (value[0] - value[1]) % value[2] != 0)
        return node_fail(node, "%s: steps of %lld do not lead from %lld down to %lld", choice->name,
                         value[2], value[0], value[1]);
    for (long long option = value[0]; option >= value[1]; option -= value[2])
        TRY(add_option(node, choice, option));
    return STATUS_OK;
}

static enum status read_options(const struct node *node, struct choice *choice) {
    if (node->kind == NODE_MAP)
        return read_range(node, choice);
    const struct node *first = node->kind == NODE_LIST ? node->first : node;
    if (first == NULL)
        return node_fail(node, "%s has no options", choice->name);
    for (const struct node *entry = first; entry != NULL; entry = entry->next) {
        long long value;
        TRY(read_integer(entry, choice->name, 1, MOST_OPTION, &value));
        TRY(add_option(entry, choice, value));
        if (node->kind == NODE_SCALAR)
            break;
    }
    return STATUS_OK;
}

static enum status find_layer(const struct network *network, const struct node *node, int *index) {
    const char *names[MAX_LAYERS];
    char name[MAX_NAME];
    TRY(read_text(node, "the name of a layer", name, sizeof name));
    for (int i = 0; i < network->layer_count; i++) {
        names[i] = network->layers[i].name;
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return STATUS_OK;
        }
    }
    if (network->layer_count == 0)
        return node_fail(node, "there is no layer before this one");
    return node_fail(node, "there is no layer '%s' before this one; the nearest name is '%s'", name,
                     nearest(name, names, network->layer_count));
}

static int *dimension_of(struct layer *layer, const char *dimension) {
    return dimension[0] == 'w' ? &layer->width
                               : (dimension[0] == 'e' ? &layer->expand : &layer->kernel);
}

/* A number, falling options, {from, to, step}, or {same_as: LAYER}; -1 when the key is not there.
 */
static enum status read_dimension(struct network *network, const struct node *section,
                                  struct layer *layer, const char *dimension) {
    int *index = dimension_of(layer, dimension);
    const struct node *node = node_find(section, dimension);
    *index = -1;
    if (node == NULL)
        return STATUS_OK;
    const struct node *same_as = node->kind == NODE_MAP ? node_find(node, "same_as") : NULL;
    if (same_as == NULL) {
        enum choice_kind kind = index == &layer->kernel ? CHOICE_KERNEL : CHOICE_WIDTH;
        TRY(add_choice(network, node, layer, dimension, kind, index));
        return read_options(node, &network->choices[*index]);
    }
    int other = 0;
    TRY(check_known(node, (const char *const[]){"same_as"}, 1));
    TRY(find_layer(network, same_as, &other));
    *index = *dimension_of(&network->layers[other], dimension);
    if (*index < 0)
        return node_fail(same_as, "layer '%s' has no %s", network->layers[other].name, dimension);
    return STATUS_OK;
}

static enum status read_input(const struct network *network, const struct node *section,
                              struct layer *layer) {
    layer->input = network->layer_count - 1;
    const struct node *node = node_find(section, "input");
    if (node == NULL)
        return STATUS_OK;
    if (node->kind == NODE_LIST)
        return node_fail(node, "layer '%s': sums of layers are not supported yet", layer->name);
    return find_layer(network, node, &layer->input);
}

/* may_be_absent: yes is the choice {1, 0}; present: yes or no pins it. */
static enum status read_present(struct network *network, const struct node *section,
                                struct layer *layer) {
    const struct node *absent = node_find(section, "may_be_absent"),
                      *present = node_find(section, "present");
    bool may_be_absent = false, is_present = true;
    layer->present = -1;
    if (absent != NULL && present != NULL)
        return node_fail(present, "layer '%s': present pins what may_be_absent leaves open",
                         layer->name);
    if (absent != NULL)
        TRY(read_yes_no(absent, "may_be_absent", &may_be_absent));
    if (present != NULL)
        TRY(read_yes_no(present, "present", &is_present));
    if (!may_be_absent && present == NULL)
        return STATUS_OK;
    TRY(add_choice(network, section, layer, "present", CHOICE_PRESENT, &layer->present));
    struct choice *choice = &network->choices[layer->present];
    if (is_present)
        TRY(add_option(section, choice, 1));
    if (may_be_absent || !is_present)
        TRY(add_option(section, choice, 0));
    return STATUS_OK;
}

static int largest_width(const struct network *network, const struct layer *layer) {
    return layer->width < 0 ? 0 : network->choices[layer->width].options[0];
}

/* Channels that the next layer would read in the largest sub-network. */
static int channels_before(const struct network *network) {
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork largest = subnetwork_largest(network);
    if (network->layer_count == 0)
        return network->channels;
    network_shapes(network, &largest, shapes);
    return shapes[network->layer_count - 1].out;
}

static enum status read_shortcuts(const struct network *network, const struct node *section,
                                  struct layer *layer) {
    const struct node *stride = node_find(section, "stride"),
                      *residual = node_find(section, "residual"),
                      *bypass = node_find(section, "bypass"),
                      *kind = node_find(section, "bypass_kind");
    long long number = 1;
    int word = BYPASS_CROP, width = largest_width(network, layer);
    if (stride != NULL)
        TRY(read_integer(stride, "stride", 1, 2, &number));
    layer->stride = (int)number;
    bool block = layer->kind == LAYER_BLOCK;
    layer->residual = block && layer->stride == 1 && channels_before(network) == width;
    if (residual != NULL)
        TRY(read_yes_no(residual, "residual", &layer->residual));
    if (kind != NULL)
        TRY(read_word(kind, "bypass_kind", bypass_words, &word));
    number = (block && layer->stride == 1) || kind != NULL ? width : 0;
    if (bypass != NULL)
        TRY(read_integer(bypass, "bypass", 0, MOST_OPTION, &number));
    layer->bypass = (int)number;
    if (kind == NULL && layer->bypass > 0 && layer->stride == 2)
        word = BYPASS_POOL;
    layer->bypass_kind = (enum bypass_kind)word;
    return STATUS_OK;
}

static enum status read_activation(const struct node *section, struct layer *layer) {
    const struct node *node = node_find(section, "activation");
    int word = ACTIVATION_NONE;
    bool needed = layer->kind == LAYER_CONVOLUTION || layer->kind == LAYER_BLOCK;
    if (node == NULL && needed)
        return node_fail(section, "layer '%s' needs an activation (or none)", layer->name);
    if (node != NULL)
        TRY(read_word(node, "activation", activation_words, &word));
    layer->activation = (enum activation)word;
    return STATUS_OK;
}

static enum status read_layer(struct network *network, const struct node *node) {
    struct layer layer = {0};
    const struct node *name = node_find(node, "name"), *type = node_find(node, "type"),
                      *norm = node_find(node, "norm"),
                      *squeeze_excite = node_find(node, "squeeze_excite");
    int kind = 0;
    if (node->kind != NODE_MAP)
        return node_fail(node, "a layer is a map: {name: stem, type: convolution, ...}");
    TRY(check_map_keys(node, layer_keys, layer_key_count));
    if (name == NULL || type == NULL)
        return node_fail(node, "a layer needs a name and a type");
    TRY(read_text(name, "the name of a layer", layer.name, sizeof layer.name));
    TRY(read_word(type, "type", layer_words, &kind));
    layer.kind = (enum layer_kind)kind;
    TRY(check_keys(node, &layer));
    TRY(read_input(network, node, &layer));
    TRY(read_dimension(network, node, &layer, "expand"));
    TRY(read_dimension(network, node, &layer, "kernel"));
    TRY(read_dimension(network, node, &layer, "width"));
    layer.expansion = layer.expand >= 0;
    layer.norm = kind == LAYER_CONVOLUTION;
    if (norm != NULL)
        TRY(read_yes_no(norm, "norm", &layer.norm));
    if (squeeze_excite != NULL)
        TRY(read_yes_no(squeeze_excite, "squeeze_excite", &layer.squeeze_excite));
    TRY(read_activation(node, &layer));
    TRY(read_shortcuts(network, node, &layer));
    TRY(read_present(network, node, &layer));
    network->layers[network->layer_count++] = layer;
    enum status status = network_check_layer(network, network->layer_count - 1);
    return status == STATUS_OK ? status : node_fail_in(node, status);
}

static enum status read_size(const struct node *map, const char *name, long long most, int *value) {
    const struct node *node = node_find(map, name);
    long long number = 0;
    if (node == NULL)
        return node_fail(map, "%s is missing", name);
    TRY(read_integer(node, name, 1, most, &number));
    *value = (int)number;
    return STATUS_OK;
}

/* The heights or widths of the pictures. */
static enum status read_sides(const struct node *input, const char *name, struct choice *sides) {
    const struct node *node = node_find(input, name);
    *sides = (struct choice){.kind = CHOICE_RESOLUTION};
    snprintf(sides->name, sizeof sides->name, "%s", name);
    return node != NULL ? read_options(node, sides) : node_fail(input, "%s is missing", name);
}

/* One size, or several that fall: the choice of a resolution. */
static enum status read_resolutions(struct network *network, const struct node *input) {
    struct choice heights, widths;
    TRY(read_sides(input, "height", &heights));
    TRY(read_sides(input, "width", &widths));
    if (heights.count != widths.count || heights.count > MAX_RESOLUTIONS)
        return node_fail(input,
                         "the lists of height (%d) and width (%d) must have one length, at most "
                         "%d",
                         heights.count, widths.count, MAX_RESOLUTIONS);
    network->height = heights.options[0];
    network->width = widths.options[0];
    if (heights.count == 1)
        return STATUS_OK;
    snprintf(heights.name, sizeof heights.name, "resolution");
    network->choices[RESOLUTION_CHOICE] = heights;
    network->choice_count = RESOLUTION_CHOICE + 1;
    for (int i = 0; i < widths.count; i++)
        network->widths[i] = widths.options[i];
    enum status status = network_check_resolutions(network);
    return status == STATUS_OK ? status : node_fail_in(input, status);
}

static enum status read_network(struct network *network, const struct node *section) {
    static const char *const names[] = {"input", "classes", "layers"};
    static const char *const sizes[] = {"height", "width", "channels"};
    if (section->kind != NODE_MAP)
        return node_fail(section, "network is a map of input, classes and layers");
    TRY(check_known(section, names, 3));
    const struct node *input = node_find(section, "input"), *layers = node_find(section, "layers");
    if (input == NULL || input->kind != NODE_MAP)
        return node_fail(section, "network needs an input: {height: 28, width: 28, channels: 1}");
    TRY(check_known(input, sizes, 3));
    TRY(allocate(&network->choices, MAX_CHOICES, sizeof *network->choices,
                 "the choices of a network"));
    TRY(read_resolutions(network, input));
    TRY(read_size(input, "channels", 4, &network->channels));
    TRY(read_size(section, "classes", MOST_OPTION, &network->classes));
    if (layers == NULL || layers->kind != NODE_LIST || layers->count > MAX_LAYERS)
        return node_fail(layers ? layers : section, "network needs a list of at most %d layers",
                         MAX_LAYERS);
    TRY(allocate(&network->layers, MAX_LAYERS, sizeof *network->layers, "the layers of a network"));
    for (const struct node *entry = layers->first; entry != NULL; entry = entry->next)
        TRY(read_layer(network, entry));
    enum status status = network_check(network);
    return status == STATUS_OK ? status : node_fail_in(section, status);
}

enum status network_from_node(struct network *network, const struct node *section) {
    *network = (struct network){0};
    enum status status = read_network(network, section);
    if (status != STATUS_OK)
        network_release(network);
    return status;
}
