/* What must agree between the keys of a network: the errors that no single key shows. */
#include "network/network.h"

#include <string.h>

enum { MOST_CHANNELS = 16384, MOST_PIXELS = 8192, MOST_KERNEL = 7, MOST_PICTURE_CHANNELS = 4 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

static bool continues(const char *name, const char *other) {
    size_t length = strlen(other);
    return strncmp(name, other, length) == 0 && name[length] == '.';
}

static enum status check_name(const struct network *network, int index) {
    const char *name = network->layers[index].name;
    if (name[0] == '\0' || name[strspn(name, letters)] != '\0')
        return fail(STATUS_USAGE,
                    "layer name '%s' must be made of letters, digits, '_', '-' and '.'", name);
    for (int i = 0; i < index; i++) {
        const char *other = network->layers[i].name;
        if (strcmp(name, other) == 0)
            return fail(STATUS_USAGE, "two layers are named '%s'", name);
        /* parameters are named LAYER.something: such a pair could share a parameter's name */
        if (continues(name, other) || continues(other, name))
            return fail(STATUS_USAGE,
                        "of the layer names '%s' and '%s' one continues the other "
                        "after a dot",
                        other, name);
    }
    return STATUS_OK;
}

/* needed: whether this kind of layer has the dimension at all. */
static enum status check_choice(const struct network *network, const struct layer *layer,
                                const char *dimension, int index, enum choice_kind kind,
                                bool needed) {
    if (index < 0 && !needed)
        return STATUS_OK;
    if (index < 0 || !needed)
        return fail(STATUS_USAGE, "layer '%s' %s %s", layer->name,
                    needed ? "needs a" : "cannot have a", dimension);
    const struct choice *choice = &network->choices[index];
    if (index >= network->choice_count || choice->kind != kind)
        return fail(STATUS_USAGE, "the %s of layer '%s' shares a choice of another kind", dimension,
                    layer->name);
    int highest = kind == CHOICE_WIDTH ? MOST_CHANNELS : kind == CHOICE_KERNEL ? MOST_KERNEL : 1;
    int lowest = kind == CHOICE_PRESENT ? 0 : 1;
    for (int i = 0; i < choice->count; i++) {
        int option = choice->options[i];
        if (option < lowest || option > highest)
            return fail(STATUS_USAGE, "layer '%s': %s %d is not within %d..%d", layer->name,
                        dimension, option, lowest, highest);
        if (i > 0 && option >= choice->options[i - 1])
            return fail(STATUS_USAGE, "layer '%s': the options of its %s must fall (%d, %d)",
                        layer->name, dimension, choice->options[i - 1], option);
        if (kind == CHOICE_KERNEL && option % 2 == 0)
            return fail(STATUS_USAGE, "layer '%s': kernel %d is even, its centre is no pixel",
                        layer->name, option);
    }
    return STATUS_OK;
}

static enum status check_choices(const struct network *network, const struct layer *layer) {
    bool block = layer->kind == LAYER_BLOCK;
    TRY(check_choice(network, layer, "width", layer->width, CHOICE_WIDTH,
                     layer->kind != LAYER_POOL));
    TRY(check_choice(network, layer, "expand", layer->expand, CHOICE_WIDTH,
                     block && layer->expansion));
    TRY(check_choice(network, layer, "kernel", layer->kernel, CHOICE_KERNEL,
                     block || layer->kind == LAYER_CONVOLUTION));
    if (layer->present < 0)
        return STATUS_OK;
    TRY(check_choice(network, layer, "present", layer->present, CHOICE_PRESENT, block));
    if (layer->bypass == 0)
        return fail(STATUS_USAGE,
                    "block '%s' may be absent but has no bypass: nothing would be left of it; "
                    "set its bypass, or may_be_absent: no",
                    layer->name);
    return STATUS_OK;
}

static enum status check_shortcuts(const struct network *network, const struct layer *layer) {
    bool spatial = layer->kind == LAYER_CONVOLUTION || layer->kind == LAYER_BLOCK;
    if (layer->stride < 1 || layer->stride > 2)
        return fail(STATUS_USAGE, "layer '%s': stride %d is neither 1 nor 2", layer->name,
                    layer->stride);
    if (!spatial && (layer->stride != 1 || layer->bypass != 0 || layer->residual))
        return fail(STATUS_USAGE, "layer '%s' has no pixels left to stride over or to bypass",
                    layer->name);
    if (layer->kind != LAYER_BLOCK && (layer->residual || layer->squeeze_excite))
        return fail(STATUS_USAGE, "layer '%s': only blocks have %s", layer->name,
                    layer->residual ? "residuals" : "squeeze-excite");
    if (layer->residual && layer->stride != 1)
        return fail(STATUS_USAGE, "layer '%s': a residual needs stride 1", layer->name);
    if (layer->bypass < 0)
        return fail(STATUS_USAGE, "layer '%s': bypass %d is negative", layer->name, layer->bypass);
    if (layer->bypass == 0)
        return STATUS_OK;
    int wanted = layer->bypass_kind == BYPASS_POOL ? 2 : 1;
    if (layer->stride != wanted)
        return fail(STATUS_USAGE, "layer '%s': a bypass at stride %d must be bypass_kind: %s",
                    layer->name, layer->stride, layer->stride == 1 ? "crop" : "pool");
    /* T <= W is the paper's rule for the initial network; extraction keeps T when W shrinks. */
    const struct choice *width = &network->choices[layer->width];
    if (width->count > 1 && layer->bypass > width->options[0])
        return fail(STATUS_USAGE, "layer '%s': bypass %d is over its largest width %d", layer->name,
                    layer->bypass, width->options[0]);
    return STATUS_OK;
}

static enum status check_chain(const struct network *network, int index) {
    const struct layer *layer = &network->layers[index];
    if (layer->input != index - 1)
        return fail(STATUS_USAGE,
                    "layer '%s' must read the layer before it: other inputs are not supported yet",
                    layer->name);
    bool after_pool = index > 0 && (network->layers[index - 1].kind == LAYER_POOL ||
                                    network->layers[index - 1].kind == LAYER_LINEAR);
    if (layer->kind == LAYER_LINEAR && !after_pool)
        return fail(STATUS_USAGE, "linear layer '%s' must come after a pool or a linear layer",
                    layer->name);
    if (layer->kind != LAYER_LINEAR && after_pool)
        return fail(STATUS_USAGE, "layer '%s' comes after a pool: only linear layers may",
                    layer->name);
    return STATUS_OK;
}

static enum status check_last(const struct network *network) {
    const struct layer *last = &network->layers[network->layer_count - 1];
    if (last->kind != LAYER_LINEAR || last->activation != ACTIVATION_NONE)
        return fail(STATUS_USAGE,
                    "the last layer '%s' must be a linear one without activation: the classifier",
                    last->name);
    const struct choice *width = &network->choices[last->width];
    if (width->count != 1 || width->options[0] != network->classes)
        return fail(STATUS_USAGE,
                    "the last layer '%s' must have width %d, the number of classes, and nothing "
                    "else",
                    last->name, network->classes);
    return STATUS_OK;
}

enum status network_check_layer(const struct network *network, int index) {
    TRY(check_name(network, index));
    TRY(check_choices(network, &network->layers[index]));
    TRY(check_shortcuts(network, &network->layers[index]));
    return check_chain(network, index);
}

enum status network_check(const struct network *network) {
    if (network->height < 1 || network->height > MOST_PIXELS || network->width < 1 ||
        network->width > MOST_PIXELS || network->channels < 1 ||
        network->channels > MOST_PICTURE_CHANNELS)
        return fail(STATUS_USAGE, "pictures of %d x %d x %d are not within %d x %d x %d",
                    network->height, network->width, network->channels, MOST_PIXELS, MOST_PIXELS,
                    MOST_PICTURE_CHANNELS);
    if (network->layer_count < 1 || network->layer_count > MAX_LAYERS ||
        network->choice_count > MAX_CHOICES)
        return fail(STATUS_USAGE, "a network has 1 to %d layers and at most %d choices", MAX_LAYERS,
                    MAX_CHOICES);
    TRY(network_check_resolutions(network));
    for (int i = 0; i < network->layer_count; i++)
        TRY(network_check_layer(network, i));
    return check_last(network);
}
