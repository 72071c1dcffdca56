#include "export/onnx_graph.h"
#include "onnx.pb-c.h"
#include "support/file.h"
#include "support/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IR_VERSION = 8, OPSET = 17, MOST_ATTRIBUTES = 6, MOST_INTEGERS = 4, METADATA_VALUE = 256 };

struct tensor_slot {
    Onnx__TensorProto proto;
    char name[ONNX_NAME];
    int64_t dimensions[4];
    int64_t integer; /* of a small constant */
    float scalar;
};

struct attribute_slot {
    Onnx__AttributeProto proto;
    int64_t integers[MOST_INTEGERS];
};

struct node_slot {
    Onnx__NodeProto proto;
    char name[ONNX_NAME];
    char *inputs[ONNX_MOST_INPUTS], *output;
    struct attribute_slot attributes[MOST_ATTRIBUTES];
    Onnx__AttributeProto *attribute_list[MOST_ATTRIBUTES];
};

struct metadata_slot {
    Onnx__StringStringEntryProto proto;
    char value[METADATA_VALUE];
};

struct onnx_graph {
    int node_count, tensor_count, metadata_count;
    struct node_slot *nodes;
    struct tensor_slot *tensors;
    struct metadata_slot *metadata;
    Onnx__NodeProto **node_list;
    Onnx__TensorProto **tensor_list;
    Onnx__StringStringEntryProto **metadata_list;
};

static enum status create_lists(struct onnx_graph *graph, size_t nodes, size_t tensors,
                                size_t metadata) {
    const char *what = "an ONNX graph";
    TRY(allocate(&graph->nodes, nodes, sizeof *graph->nodes, what));
    TRY(allocate(&graph->tensors, tensors, sizeof *graph->tensors, what));
    TRY(allocate(&graph->metadata, metadata, sizeof *graph->metadata, what));
    TRY(allocate(&graph->node_list, nodes, sizeof *graph->node_list, what));
    TRY(allocate(&graph->tensor_list, tensors, sizeof *graph->tensor_list, what));
    return allocate(&graph->metadata_list, metadata, sizeof *graph->metadata_list, what);
}

enum status onnx_graph_create(struct onnx_graph **graph, int nodes, int tensors, int metadata) {
    TRY(allocate(graph, 1, sizeof **graph, "an ONNX graph"));
    enum status status = create_lists(*graph, (size_t)nodes, (size_t)tensors, (size_t)metadata);
    if (status != STATUS_OK) {
        onnx_graph_release(*graph);
        *graph = NULL;
    }
    return status;
}

void onnx_graph_release(struct onnx_graph *graph) {
    if (graph == NULL)
        return;
    free(graph->nodes);
    free(graph->tensors);
    free(graph->metadata);
    free(graph->node_list);
    free(graph->tensor_list);
    free(graph->metadata_list);
    free(graph);
}

/* The tensor of that name, added with no values if it was not there. */
static struct tensor_slot *tensor_slot(struct onnx_graph *graph, const char *name, int type) {
    for (int i = 0; i < graph->tensor_count; i++)
        if (strcmp(graph->tensors[i].name, name) == 0)
            return &graph->tensors[i];
    struct tensor_slot *slot = &graph->tensors[graph->tensor_count];
    graph->tensor_list[graph->tensor_count++] = &slot->proto;
    onnx__tensor_proto__init(&slot->proto);
    snprintf(slot->name, sizeof slot->name, "%s", name);
    slot->proto.name = slot->name;
    slot->proto.dims = slot->dimensions;
    slot->proto.has_data_type = slot->proto.has_raw_data = true;
    slot->proto.data_type = type;
    return slot;
}

static void set_data(struct tensor_slot *slot, const void *data, size_t size) {
    slot->proto.raw_data = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

const char *onnx_weights(struct onnx_graph *graph, const char *name, const real *values, int rank,
                         const int *shape) {
    struct tensor_slot *slot = tensor_slot(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    size_t count = 1;
    slot->proto.n_dims = (size_t)rank;
    for (int d = 0; d < rank; d++) {
        slot->dimensions[d] = shape[d];
        count *= (size_t)shape[d];
    }
    set_data(slot, values, count * sizeof *values);
    return slot->name;
}

const char *onnx_number(struct onnx_graph *graph, int64_t value) {
    char name[ONNX_NAME];
    snprintf(name, sizeof name, "number.%lld", (long long)value);
    struct tensor_slot *slot = tensor_slot(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
    slot->integer = value;
    slot->dimensions[0] = 1;
    slot->proto.n_dims = 1;
    set_data(slot, &slot->integer, sizeof slot->integer);
    return slot->name;
}

const char *onnx_scalar(struct onnx_graph *graph, real value) {
    char name[ONNX_NAME];
    snprintf(name, sizeof name, "scalar.%g", (double)value);
    struct tensor_slot *slot = tensor_slot(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    slot->scalar = (float)value;
    set_data(slot, &slot->scalar, sizeof slot->scalar);
    return slot->name;
}

const char *onnx_node(struct onnx_graph *graph, const char *type, const char *name,
                      const char *const inputs[ONNX_MOST_INPUTS + 1]) {
    struct node_slot *slot = &graph->nodes[graph->node_count];
    graph->node_list[graph->node_count++] = &slot->proto;
    onnx__node_proto__init(&slot->proto);
    snprintf(slot->name, sizeof slot->name, "%s", name);
    slot->output = slot->name;
    for (size_t i = 0; inputs[i] != NULL; i++)
        slot->inputs[slot->proto.n_input++] = (char *)inputs[i];
    slot->proto.input = slot->inputs;
    slot->proto.output = &slot->output;
    slot->proto.n_output = 1;
    slot->proto.name = slot->name;
    slot->proto.op_type = (char *)type;
    slot->proto.attribute = slot->attribute_list;
    return slot->name;
}

static struct attribute_slot *add_attribute(struct onnx_graph *graph, const char *name,
                                            Onnx__AttributeProto__AttributeType type) {
    struct node_slot *node = &graph->nodes[graph->node_count - 1];
    struct attribute_slot *slot = &node->attributes[node->proto.n_attribute];
    node->attribute_list[node->proto.n_attribute++] = &slot->proto;
    onnx__attribute_proto__init(&slot->proto);
    slot->proto.name = (char *)name;
    slot->proto.has_type = true;
    slot->proto.type = type;
    return slot;
}

void onnx_set_integer(struct onnx_graph *graph, const char *name, int64_t value) {
    struct attribute_slot *slot =
        add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    slot->proto.has_i = true;
    slot->proto.i = value;
}

void onnx_set_integers(struct onnx_graph *graph, const char *name, const int64_t *values,
                       int count) {
    struct attribute_slot *slot =
        add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    memcpy(slot->integers, values, (size_t)count * sizeof *values);
    slot->proto.n_ints = (size_t)count;
    slot->proto.ints = slot->integers;
}

void onnx_set_real(struct onnx_graph *graph, const char *name, double value) {
    struct attribute_slot *slot =
        add_attribute(graph, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    slot->proto.has_f = true;
    slot->proto.f = (float)value;
}

void onnx_metadata(struct onnx_graph *graph, const char *key, const char *value) {
    struct metadata_slot *slot = &graph->metadata[graph->metadata_count];
    graph->metadata_list[graph->metadata_count++] = &slot->proto;
    onnx__string_string_entry_proto__init(&slot->proto);
    snprintf(slot->value, sizeof slot->value, "%s", value);
    slot->proto.key = (char *)key;
    slot->proto.value = slot->value;
}

/* An input or output with its type and shape, all in one place. */
struct value_slot {
    Onnx__ValueInfoProto proto, *list;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dimensions[4], *dimension_list[4];
};

static void fill_value(struct value_slot *slot, const struct onnx_value *value) {
    onnx__value_info_proto__init(&slot->proto);
    onnx__type_proto__init(&slot->type);
    onnx__type_proto__tensor__init(&slot->tensor);
    onnx__tensor_shape_proto__init(&slot->shape);
    for (int d = 0; d < value->rank; d++) {
        Onnx__TensorShapeProto__Dimension *dimension = &slot->dimensions[d];
        onnx__tensor_shape_proto__dimension__init(dimension);
        if (value->shape[d] > 0) {
            dimension->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dimension->dim_value = value->shape[d];
        } else {
            dimension->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dimension->dim_param = (char *)"N";
        }
        slot->dimension_list[d] = dimension;
    }
    slot->shape.n_dim = (size_t)value->rank;
    slot->shape.dim = slot->dimension_list;
    slot->tensor.has_elem_type = true;
    slot->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    slot->tensor.shape = &slot->shape;
    slot->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    slot->type.tensor_type = &slot->tensor;
    slot->proto.name = (char *)value->name;
    slot->proto.type = &slot->type;
    slot->list = &slot->proto;
}

/* Protocol buffers end at 2 GB. */
static enum status write_model(const Onnx__ModelProto *model, const char *path) {
    size_t size = onnx__model_proto__get_packed_size(model);
    uint8_t *packed;
    if (size > INT_MAX)
        return fail(STATUS_FAILED, "cannot write %s: an ONNX file of %zu bytes is over 2 GB", path,
                    size);
    TRY(allocate(&packed, size, 1, "an ONNX file"));
    onnx__model_proto__pack(model, packed);
    struct file_part part = {packed, size};
    enum status status = file_replace(path, &part, 1);
    free(packed);
    return status;
}

enum status onnx_graph_write(struct onnx_graph *graph, const char *name,
                             const struct onnx_value *input, const struct onnx_value *output,
                             const char *path) {
    struct value_slot in, out;
    fill_value(&in, input);
    fill_value(&out, output);
    Onnx__GraphProto proto = ONNX__GRAPH_PROTO__INIT;
    proto.name = (char *)name;
    proto.n_node = (size_t)graph->node_count;
    proto.node = graph->node_list;
    proto.n_initializer = (size_t)graph->tensor_count;
    proto.initializer = graph->tensor_list;
    proto.n_input = proto.n_output = 1;
    proto.input = &in.list;
    proto.output = &out.list;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opset_list = &opset;
    opset.has_version = true;
    opset.version = OPSET;
    opset.domain = (char *)"";
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    model.has_ir_version = true;
    model.ir_version = IR_VERSION;
    model.n_opset_import = 1;
    model.opset_import = &opset_list;
    model.producer_name = (char *)"taper";
    model.producer_version = (char *)TAPER_VERSION;
    model.graph = &proto;
    model.n_metadata_props = (size_t)graph->metadata_count;
    model.metadata_props = graph->metadata_list;
    return write_model(&model, path);
}
