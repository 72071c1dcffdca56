/* What a sub-network is, layer by layer: channels, pixels, and what they cost. */
#include "network/network.h"

static int least(int a, int b) {
    return a < b ? a : b;
}

static int most(int a, int b) {
    return a > b ? a : b;
}

int squeeze_width(int expand) {
    const int divisor = 8;
    int nearest = most(divisor, (expand + 2 * divisor) / (4 * divisor) * divisor);
    bool too_small = 40 * nearest < 9 * expand; /* nearest < 0.9 expand / 4 */
    return too_small ? nearest + divisor : nearest;
}

static int value_or(const struct network *network, const struct subnetwork *sub, int choice,
                    int otherwise) {
    return choice < 0 ? otherwise : subnetwork_value(network, sub, choice);
}

/* Channels and kernel; the pixels and `in` are filled already. */
static void shape_channels(const struct network *network, const struct subnetwork *sub,
                           const struct layer *layer, struct layer_shape *shape) {
    if (layer->kind == LAYER_POOL) {
        shape->filters = shape->out = shape->in;
        return;
    }
    int passed = least(shape->in, layer->bypass);
    if (value_or(network, sub, layer->present, 1) == 0) {
        shape->out = passed;
        return;
    }
    shape->filters = subnetwork_value(network, sub, layer->width);
    shape->out = most(passed, shape->filters);
    shape->kernel = value_or(network, sub, layer->kernel, 1);
    if (layer->kind == LAYER_BLOCK) {
        shape->expand = value_or(network, sub, layer->expand, shape->in);
        shape->squeeze = layer->squeeze_excite ? squeeze_width(shape->expand) : 0;
    }
}

void network_shapes(const struct network *network, const struct subnetwork *sub,
                    struct layer_shape *shapes) {
    struct resolution size = network_resolution(network, subnetwork_resolution(network, sub));
    struct layer_shape picture = {
        .out = network->channels, .out_height = size.height, .out_width = size.width};
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        const struct layer_shape *input = layer->input < 0 ? &picture : &shapes[layer->input];
        struct layer_shape *shape = &shapes[i];
        *shape = (struct layer_shape){
            .in = input->out, .in_height = input->out_height, .in_width = input->out_width};
        bool one_pixel = layer->kind == LAYER_POOL || layer->kind == LAYER_LINEAR;
        /* padding kernel / 2 with an odd kernel: the kernel does not matter */
        shape->out_height = one_pixel ? 1 : (shape->in_height - 1) / layer->stride + 1;
        shape->out_width = one_pixel ? 1 : (shape->in_width - 1) / layer->stride + 1;
        shape_channels(network, sub, layer, shape);
    }
}

static struct cost block_cost(const struct layer *layer, const struct layer_shape *shape) {
    double in_pixels = (double)shape->in_height * shape->in_width;
    double out_pixels = (double)shape->out_height * shape->out_width;
    double expand = shape->expand, filters = shape->filters, squeeze = shape->squeeze;
    struct cost cost = {0};
    if (layer->expansion) {
        cost.macs += in_pixels * shape->in * expand;
        cost.parameters += shape->in * expand + 2 * expand;
    }
    double taps = (double)shape->kernel * shape->kernel;
    cost.macs += out_pixels * taps * expand;
    cost.parameters += taps * expand + 2 * expand;
    if (layer->squeeze_excite) {
        cost.macs += 2 * expand * squeeze;
        cost.parameters += 2 * expand * squeeze + squeeze + expand;
    }
    cost.macs += out_pixels * expand * filters;
    cost.parameters += expand * filters + 2 * filters;
    return cost;
}

static struct cost layer_cost(const struct layer *layer, const struct layer_shape *shape) {
    if (layer->kind == LAYER_POOL || shape->filters == 0)
        return (struct cost){0};
    if (layer->kind == LAYER_BLOCK)
        return block_cost(layer, shape);
    double weights = (double)shape->kernel * shape->kernel * shape->in * shape->filters;
    double pixels = (double)shape->out_height * shape->out_width;
    return (struct cost){.macs = pixels * weights,
                         .parameters = weights + (layer->norm ? 2.0 : 1.0) * shape->filters};
}

struct cost network_cost(const struct network *network, const struct subnetwork *sub) {
    struct layer_shape shapes[MAX_LAYERS];
    network_shapes(network, sub, shapes);
    struct cost sum = {0};
    for (int i = 0; i < network->layer_count; i++) {
        struct cost cost = layer_cost(&network->layers[i], &shapes[i]);
        sum.macs += cost.macs;
        sum.parameters += cost.parameters;
    }
    return sum;
}
