/* Pieces of a pass's memory, and tensors with them. */
#include "supernet/buffers.h"

void *take_host(struct build *build, size_t count, size_t size) {
    size_t bytes = count * size;
    build->bytes += arena_piece(bytes);
    return build->measures ? NULL : arena_take(build->pass->arena, bytes);
}

/* Pieces of the operations' own memory begin on what the widest copy wants. */
enum { DEVICE_ALIGN = 256 };

/* What operations work on: the arena, or their own memory. */
void *take_operand(struct build *build, size_t count, size_t size) {
    const struct pass *pass = build->pass;
    if (!pass->ops->memory->separate)
        return take_host(build, count, size);
    char *piece = build->measures ? NULL : (char *)pass->device + build->device_bytes;
    build->device_bytes += (count * size + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
    return piece;
}

real *take_reals(struct build *build, size_t count) {
    return take_operand(build, count + READ_SLACK, sizeof(real));
}

real *take_elements(struct build *build, size_t count) {
    return take_operand(build, count + READ_SLACK, build->pass->ops->activation_size);
}

struct tensor tensor_shape(const struct build *build, int height, int width, int channels,
                           const int *kept) {
    int align = build->pass->ops->align, ld = round_up(channels, align);
    return (struct tensor){.image_size = (size_t)height * width * ld,
                           .height = height,
                           .width = width,
                           .channels = channels,
                           .align = align,
                           .kept = kept};
}

struct tensor own_tensor(struct build *build, int height, int width, int channels,
                         const int *kept) {
    struct tensor tensor = tensor_shape(build, height, width, channels, kept);
    tensor.data = take_elements(build, tensor.image_size * build->pass->slots);
    return tensor;
}

struct tensor shared_tensor(struct build *build, enum buffer buffer, int height, int width,
                            int channels, const int *kept) {
    struct tensor tensor = tensor_shape(build, height, width, channels, kept);
    if (build->measures && tensor.image_size > build->image_size[buffer])
        build->image_size[buffer] = tensor.image_size;
    tensor.image_size = build->image_size[buffer];
    tensor.data = build->data[buffer];
    return tensor;
}

struct tensor activation_tensor(struct build *build, enum buffer buffer, int height, int width,
                                int channels, const int *kept) {
    if (build->pass->options.backward)
        return own_tensor(build, height, width, channels, kept);
    return shared_tensor(build, buffer, height, width, channels, kept);
}

struct tensor *keep_tensor(struct build *build, struct tensor tensor) {
    struct pass *pass = build->pass;
    pass->tensors[pass->tensor_count] = tensor;
    return &pass->tensors[pass->tensor_count++];
}

/* Fewer pixels than this are not worth a part of their own. */
enum { PART_PIXELS = 64 };

static int most_parts(const struct pass *pass) {
    int parts = pass->ops->blocks / pass->options.groups;
    return parts > 1 ? parts : 1;
}

int norm_parts(const struct pass *pass, const struct tensor *z) {
    size_t pixels = (size_t)pass->options.images * z->height * z->width / pass->options.groups;
    int parts = most_parts(pass), wanted = (int)((pixels + PART_PIXELS - 1) / PART_PIXELS);
    return wanted < parts ? wanted : parts;
}

size_t partial_rows(const struct pass *pass) {
    return (size_t)(pass->options.groups + pass->options.shards) * most_parts(pass);
}

/* Partial sums are consumed before the next batch-norm's are made: a device, which takes the whole
 * batch through one operation after the other, has one buffer for all. Threads of the host are each
 * elsewhere in the network. */
void take_partials(struct build *build, struct batch_norm *norm) {
    size_t rows = partial_rows(build->pass), stride = norm->stride;
    if (stride > build->widest_norm)
        build->widest_norm = stride;
    bool own = !build->pass->ops->memory->separate;
    norm->partial = own ? take_operand(build, rows * 2 * stride, sizeof(double)) : build->partial;
    norm->row_count = own ? take_operand(build, rows, sizeof(double)) : build->row_count;
}
