/* A network as an ONNX graph. */
#include "export/export.h"
#include "export/names.h"
#include "export/onnx_graph.h"
#include "network/fold.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block of everything: 3 convolutions with norm and activation, 6 nodes of squeeze-excite, 7 of
 * residual and bypass; 19 tensors, and as constants the ends of 3 slices. */
enum { NODES_OF_A_LAYER = 24, TENSORS_OF_A_LAYER = 28, METADATA = 8 };

struct writer {
    const struct exported *exported;
    struct onnx_graph *graph;
    bool fold;
    const real *values; /* of the parameters: folded, or the weights as they are */
    const struct layer *layer;
    const struct layer_shape *shape;
    int index;             /* of the layer */
    char name[LAYER_NAME]; /* of the layer */
};

bool onnx_available(void) {
    return true;
}

#define INPUTS(...) ((const char *const[ONNX_MOST_INPUTS + 1]){__VA_ARGS__})

static const struct parameter *find(const struct writer *writer, enum parameter_part part,
                                    enum parameter_role role) {
    return parameters_find(writer->exported->parameters, writer->index, part, role);
}

/* The name of a parameter with another last word; none at all if that is NULL. */
static const char *sibling(const struct parameter *parameter, const char *last,
                           char name[ONNX_NAME]) {
    int length = (int)(strrchr(parameter->name, '.') - parameter->name);
    snprintf(name, ONNX_NAME, "%.*s%s%s", length, parameter->name, last ? "." : "",
             last ? last : "");
    return name;
}

static const char *add_parameter(const struct writer *writer, const struct parameter *parameter) {
    return onnx_weights(writer->graph, parameter->name, writer->values + parameter->offset,
                        parameter->rank, parameter->shape);
}

static const char *add_statistic(const struct writer *writer, enum parameter_part part,
                                 enum parameter_role role) {
    const struct exported *exported = writer->exported;
    const struct parameter *statistic =
        parameters_find(exported->statistics, writer->index, part, role);
    return onnx_weights(writer->graph, statistic->name,
                        exported->statistic_values + statistic->offset, statistic->rank,
                        statistic->shape);
}

static const char *add_norm(const struct writer *writer, const char *x, enum parameter_part part) {
    char name[ONNX_NAME];
    const struct parameter *weight = find(writer, part, ROLE_NORM_WEIGHT);
    const char *y = onnx_node(writer->graph, "BatchNormalization", sibling(weight, NULL, name),
                              INPUTS(x, add_parameter(writer, weight),
                                     add_parameter(writer, find(writer, part, ROLE_NORM_BIAS)),
                                     add_statistic(writer, part, ROLE_RUNNING_MEAN),
                                     add_statistic(writer, part, ROLE_RUNNING_VARIANCE)));
    onnx_set_real(writer->graph, "epsilon", writer->exported->epsilon);
    return y;
}

/* With its batch-norm, if it has one. */
static const char *add_convolution(const struct writer *writer, const char *x,
                                   enum parameter_part part, int64_t kernel, int64_t stride,
                                   int64_t groups) {
    char name[ONNX_NAME];
    const struct parameter *weight = find(writer, part, ROLE_WEIGHT);
    const struct parameter *bias = find(writer, part, ROLE_BIAS);
    const struct parameter *norm_bias = find(writer, part, ROLE_NORM_BIAS);
    const char *bias_name = bias ? add_parameter(writer, bias) : NULL;
    if (norm_bias && writer->fold)
        bias_name = onnx_weights(writer->graph, sibling(weight, "bias", name),
                                 writer->values + norm_bias->offset, 1, norm_bias->shape);
    const char *y = onnx_node(writer->graph, "Conv", sibling(weight, NULL, name),
                              INPUTS(x, add_parameter(writer, weight), bias_name));
    int64_t pad = kernel / 2;
    onnx_set_integers(writer->graph, "kernel_shape", (int64_t[]){kernel, kernel}, 2);
    onnx_set_integers(writer->graph, "strides", (int64_t[]){stride, stride}, 2);
    onnx_set_integers(writer->graph, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    onnx_set_integer(writer->graph, "group", groups);
    return norm_bias && !writer->fold ? add_norm(writer, y, part) : y;
}

static const char *add_hard_sigmoid(const struct writer *writer, const char *x) {
    char name[ONNX_NAME];
    snprintf(name, sizeof name, "%s.hard_sigmoid", x);
    const char *y = onnx_node(writer->graph, "HardSigmoid", name, INPUTS(x));
    onnx_set_real(writer->graph, "alpha", 1.0 / 6);
    onnx_set_real(writer->graph, "beta", 0.5);
    return y;
}

static const char *add_activation(const struct writer *writer, const char *x,
                                  enum activation activation) {
    char name[ONNX_NAME];
    snprintf(name, sizeof name, "%s.activation", x);
    switch (activation) {
    case ACTIVATION_RELU:
        return onnx_node(writer->graph, "Relu", name, INPUTS(x));
    case ACTIVATION_RELU6:
        return onnx_node(writer->graph, "Clip", name,
                         INPUTS(x, onnx_scalar(writer->graph, 0), onnx_scalar(writer->graph, 6)));
    case ACTIVATION_HARD_SWISH:
        return onnx_node(writer->graph, "HardSwish", name, INPUTS(x));
    case ACTIVATION_HARD_SIGMOID:
        return add_hard_sigmoid(writer, x);
    case ACTIVATION_NONE:
        break;
    }
    return x;
}

/* A node of this layer: LAYER.suffix. */
static const char *add(const struct writer *writer, const char *type, const char *suffix,
                       const char *const inputs[ONNX_MOST_INPUTS + 1]) {
    char name[ONNX_NAME];
    snprintf(name, sizeof name, "%s.%s", writer->name, suffix);
    return onnx_node(writer->graph, type, name, inputs);
}

static const char *add_squeeze_excite(const struct writer *writer, const char *x) {
    const char *gate = add(writer, "GlobalAveragePool", "se.mean", INPUTS(x));
    gate = add_convolution(writer, gate, PART_REDUCE, 1, 1, 1);
    gate = add_activation(writer, gate, ACTIVATION_RELU);
    gate = add_convolution(writer, gate, PART_GATE, 1, 1, 1);
    return add(writer, "Mul", "se", INPUTS(x, add_hard_sigmoid(writer, gate)));
}

/* Channels [first, end) of x, which has `channels`. */
static const char *add_slice(const struct writer *writer, const char *suffix, const char *x,
                             int channels, int first, int end) {
    struct onnx_graph *graph = writer->graph;
    if (first == 0 && end == channels)
        return x;
    return add(
        writer, "Slice", suffix,
        INPUTS(x, onnx_number(graph, first), onnx_number(graph, end), onnx_number(graph, 1)));
}

static const char *add_concat(const struct writer *writer, const char *suffix, const char *a,
                              const char *b) {
    const char *y = add(writer, "Concat", suffix, INPUTS(a, b));
    onnx_set_integer(writer->graph, "axis", 1);
    return y;
}

/* y[i] + x[i] where both have channel i. */
static const char *add_residual(const struct writer *writer, const char *y, const char *x) {
    int filters = writer->shape->filters, in = writer->shape->in;
    int shared = filters < in ? filters : in;
    const char *sum = add(writer, "Add", "residual",
                          INPUTS(add_slice(writer, "added_to", y, filters, 0, shared),
                                 add_slice(writer, "added", x, in, 0, shared)));
    if (shared == filters)
        return sum;
    return add_concat(writer, "widened", sum,
                      add_slice(writer, "not_added_to", y, filters, shared, filters));
}

/* What the bypass hands on: x, or at stride 2 the mean of the 2x2 pixels that exist. */
static const char *add_shortcut(const struct writer *writer, const char *x) {
    const struct layer_shape *shape = writer->shape;
    if (writer->layer->stride == 1 || writer->layer->bypass_kind != BYPASS_POOL)
        return x;
    const char *y = add(writer, "AveragePool", "bypass_mean", INPUTS(x));
    const int64_t pads[4] = {0, 0, shape->in_height % 2, shape->in_width % 2};
    onnx_set_integers(writer->graph, "kernel_shape", (int64_t[]){2, 2}, 2);
    onnx_set_integers(writer->graph, "strides", (int64_t[]){2, 2}, 2);
    onnx_set_integers(writer->graph, "pads", pads, 4);
    onnx_set_integer(writer->graph, "count_include_pad", 0);
    return y;
}

/* y: the layer's filters, NULL for an absent block. The channels from M to min(C, T) are x's. */
static const char *add_combine(const struct writer *writer, const char *y, const char *x) {
    const struct layer_shape *shape = writer->shape;
    if (y != NULL && writer->layer->residual)
        y = add_residual(writer, y, x);
    if (shape->out == shape->filters)
        return y;
    const char *passed = add_slice(writer, "bypassed", add_shortcut(writer, x), shape->in,
                                   shape->filters, shape->out);
    return y == NULL ? passed : add_concat(writer, "bypass", y, passed);
}

static const char *add_block(const struct writer *writer, const char *x) {
    const struct layer *layer = writer->layer;
    const struct layer_shape *shape = writer->shape;
    if (shape->filters == 0)
        return add_combine(writer, NULL, x);
    const char *y = x;
    if (layer->expansion)
        y = add_activation(writer, add_convolution(writer, y, PART_EXPAND, 1, 1, 1),
                           layer->activation);
    y = add_convolution(writer, y, PART_DEPTHWISE, shape->kernel, layer->stride, shape->expand);
    y = add_activation(writer, y, layer->activation);
    if (layer->squeeze_excite)
        y = add_squeeze_excite(writer, y);
    return add_combine(writer, add_convolution(writer, y, PART_PROJECT, 1, 1, 1), x);
}

/* x is [N, C, 1, 1] */
static const char *add_classifier(const struct writer *writer, const char *x) {
    const char *flat = add(writer, "Flatten", "flatten", INPUTS(x));
    const char *weight = add_parameter(writer, find(writer, PART_MAIN, ROLE_WEIGHT));
    const char *bias = add_parameter(writer, find(writer, PART_MAIN, ROLE_BIAS));
    const char *y = onnx_node(writer->graph, "Gemm", "logits", INPUTS(flat, weight, bias));
    onnx_set_integer(writer->graph, "transB", 1);
    return y;
}

static const char *add_layer(const struct writer *writer, const char *x) {
    const struct layer *layer = writer->layer;
    const struct layer_shape *shape = writer->shape;
    if (layer->kind == LAYER_BLOCK)
        return add_block(writer, x);
    if (layer->kind == LAYER_POOL)
        return onnx_node(writer->graph, "GlobalAveragePool", "pool", INPUTS(x));
    if (writer->index == writer->exported->network->layer_count - 1)
        return add_classifier(writer, x);
    const char *y = add_convolution(writer, x, PART_MAIN, shape->kernel, layer->stride, 1);
    return add_combine(writer, add_activation(writer, y, layer->activation), x);
}

static void add_channels(const struct writer *writer, const char *key, const double *values) {
    char text[128];
    int used = 0;
    for (int c = 0; c < writer->exported->network->channels; c++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%.9g", c > 0 ? "," : "",
                         values[c]);
    onnx_metadata(writer->graph, key, text);
}

static void add_metadata(const struct writer *writer) {
    onnx_metadata(writer->graph, "input", "(pixel / 255 - mean) / deviation, per channel");
    add_channels(writer, "mean", writer->exported->mean);
    add_channels(writer, "deviation", writer->exported->deviation);
    onnx_metadata(writer->graph, "norms", writer->fold ? "folded" : "kept");
}

static enum status write_graph(struct writer *writer, const char *path) {
    const struct network *network = writer->exported->network;
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork whole = subnetwork_largest(network);
    const struct onnx_value input = {
        "pictures", 4, {0, network->channels, network->height, network->width}};
    const struct onnx_value output = {"logits", 2, {0, network->classes}};
    network_shapes(network, &whole, shapes);
    const char *value = input.name;
    for (int i = 0; i < network->layer_count; i++) {
        writer->index = i;
        writer->layer = &network->layers[i];
        writer->shape = &shapes[i];
        names_layer(network, i, writer->name);
        value = add_layer(writer, value);
    }
    add_metadata(writer);
    return onnx_graph_write(writer->graph, writer->exported->name, &input, &output, path);
}

enum status onnx_write(const struct exported *exported, bool fold, const char *path) {
    struct writer writer = {.exported = exported, .fold = fold, .values = exported->weights};
    int layers = exported->network->layer_count;
    real *folded = NULL;
    enum status status;
    TRY_CLEANUP(allocate(&folded, exported->parameters->size, sizeof *folded, "folded weights"));
    TRY_CLEANUP(onnx_graph_create(&writer.graph, layers * NODES_OF_A_LAYER,
                                  layers * TENSORS_OF_A_LAYER, METADATA));
    if (fold) {
        fold_norms(exported->parameters, exported->weights, exported->statistics,
                   exported->statistic_values, exported->epsilon, folded);
        writer.values = folded;
    }
    status = write_graph(&writer, path);
done:
    onnx_graph_release(writer.graph);
    free(folded);
    return status;
}
