/* An ONNX graph under construction, for onnx.c.
 *
 * The graph owns nodes, names and small constants; weights are borrowed until it is written. Room
 * for all of it is taken when it is created, so that adding cannot fail. Values are known by their
 * names.
 */
#ifndef TAPER_ONNX_GRAPH_H
#define TAPER_ONNX_GRAPH_H

#include "support/status.h"
#include "tensor.h"
#include <stdint.h>

enum { ONNX_NAME = 128, ONNX_MOST_INPUTS = 5 };

struct onnx_graph;

/* Room for so many nodes, tensors and entries of the metadata. */
enum status onnx_graph_create(struct onnx_graph **graph, int nodes, int tensors, int metadata);
void onnx_graph_release(struct onnx_graph *graph); /* NULL is fine */

/* Constants; each returns its name. One that is there already is not added again. */
const char *onnx_weights(struct onnx_graph *graph, const char *name, const real *values, int rank,
                         const int *shape);
const char *onnx_number(struct onnx_graph *graph, int64_t value); /* of shape [1] */
const char *onnx_scalar(struct onnx_graph *graph, real value);

/* Adds a node whose only output has the node's name, and returns that. Inputs end with NULL. */
const char *onnx_node(struct onnx_graph *graph, const char *type, const char *name,
                      const char *const inputs[ONNX_MOST_INPUTS + 1]);
/* Attributes of the node that was added last. */
void onnx_set_integer(struct onnx_graph *graph, const char *name, int64_t value);
void onnx_set_integers(struct onnx_graph *graph, const char *name, const int64_t *values,
                       int count);
void onnx_set_real(struct onnx_graph *graph, const char *name, double value);

void onnx_metadata(struct onnx_graph *graph, const char *key, const char *value);

struct onnx_value {
    const char *name;
    int rank;
    int64_t shape[4]; /* 0: "N", any number */
};
enum status onnx_graph_write(struct onnx_graph *graph, const char *name,
                             const struct onnx_value *input, const struct onnx_value *output,
                             const char *path);

#endif
