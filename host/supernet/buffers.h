/* Memory of a pass while its list of operations is built; shared by layout.c, which says in which
 * order everything lies, build.c, which goes through the layers, and buffers.c, which takes pieces
 * for them. */
#ifndef TAPER_BUFFERS_H
#define TAPER_BUFFERS_H

#include "supernet/pass_internal.h"

/* Memory of activations and gradients that live only for a part of the pass is shared: a buffer per
 * use, as large as its largest user. */
enum buffer {
    BUFFER_OUTPUT_EVEN, /* layer outputs, forward only: the input of a layer and its output live */
    BUFFER_OUTPUT_ODD,
    BUFFER_EXPANDED, /* raw z of the three convolutions of a block, forward only */
    BUFFER_FILTERED,
    BUFFER_PROJECTED,
    BUFFER_GRADIENT_EVEN, /* d loss / d layer output: of a layer and of its input live */
    BUFFER_GRADIENT_ODD,
    BUFFER_GRADIENT_EXPANDED,
    BUFFER_GRADIENT_FILTERED,
    BUFFER_COUNT
};

struct build {
    struct pass *pass;
    bool measures;       /* hands nothing out, only counts */
    size_t bytes;        /* taken so far of the arena */
    size_t device_bytes; /* and of the operations' own memory */
    size_t image_size[BUFFER_COUNT];
    real *data[BUFFER_COUNT];
    size_t widest_norm;          /* stride */
    double *partial, *row_count; /* of all batch-norms: each is consumed before the next */
    size_t scratch;              /* the largest need of any operation */
};

/* `count` things of `size` bytes for the host, and where operations work on them: a device's memory
 * or the same; then reals and elements of tensors there. NULL while all is only measured. */
void *take_host(struct build *build, size_t count, size_t size);
void *take_operand(struct build *build, size_t count, size_t size);
real *take_reals(struct build *build, size_t count);
real *take_elements(struct build *build, size_t count);

/* A tensor without data; with data of its own; with a shared buffer's. */
struct tensor tensor_shape(const struct build *build, int height, int width, int channels,
                           const int *kept);
struct tensor own_tensor(struct build *build, int height, int width, int channels, const int *kept);
struct tensor shared_tensor(struct build *build, enum buffer buffer, int height, int width,
                            int channels, const int *kept);
/* Raw activations that the backward pass reads again; forward only they share. */
struct tensor activation_tensor(struct build *build, enum buffer buffer, int height, int width,
                                int channels, const int *kept);
/* Views point to tensors: those need an address that lasts. */
struct tensor *keep_tensor(struct build *build, struct tensor tensor);

/* Rows of partial sums of a batch-norm: the parts of all segments. */
size_t partial_rows(const struct pass *pass);

/* Parts of a segment's pixels that leave their own sums for the batch-norm of z, and their memory.
 */
int norm_parts(const struct pass *pass, const struct tensor *z);
void take_partials(struct build *build, struct batch_norm *norm);

/* build.c: the layers, from the pictures to the logits. */
void build_layers(struct build *build);

#endif
