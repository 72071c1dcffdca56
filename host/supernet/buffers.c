/* The memory of a pass, cut twice: first only measured. Where pictures have several sizes, the same
 * memory is cut for one of them at a time; what lasts beyond a run lies first, at the same place
 * for each. */
#include "supernet/buffers.h"

static void *take(struct build *build, size_t count, size_t size) {
    size_t bytes = count * size;
    build->bytes += arena_piece(bytes);
    return build->measures ? NULL : arena_take(build->pass->arena, bytes);
}

/* Pieces of the operations' own memory begin on what the widest copy wants. */
enum { DEVICE_ALIGN = 256 };

/* What operations work on: the arena, or their own memory. */
static void *take_operand(struct build *build, size_t count, size_t size) {
    const struct pass *pass = build->pass;
    if (!pass->ops->memory->separate)
        return take(build, count, size);
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

static size_t partial_rows(const struct pass *pass) {
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

/* A batch's copy where operations can read it: of the largest pictures. */
static void build_operands(struct build *build) {
    struct pass *pass = build->pass;
    const struct network *network = pass->network;
    size_t images = pass->options.images, classes = network->classes;
    size_t picture = (size_t)network->height * network->width * network->channels;
    pass->operands.pictures = take_operand(build, images, picture);
    pass->operands.labels = take_operand(build, images, sizeof(int));
    pass->operands.weights = take_reals(build, images);
    pass->operands.teacher = take_reals(build, images * classes);
    pass->device_losses = take_operand(build, images, sizeof *pass->device_losses);
    pass->device_hits = take_operand(build, images, sizeof *pass->device_hits);
    pass->device_segments =
        take_operand(build, pass->options.groups + pass->options.shards, sizeof *pass->segments);
    pass->device_widths = take_operand(build, pass->width_count, sizeof(int));
}

/* Everything whose size depends on no layer, and so not on the pictures. */
static void build_batch(struct build *build) {
    struct pass *pass = build->pass;
    const struct pass_options *options = &pass->options;
    size_t images = options->images, segments = options->groups + options->shards;
    pass->segments = take(build, segments, sizeof *pass->segments);
    pass->shards = take(build, options->shards, sizeof *pass->shards);
    pass->order = take(build, options->shards, sizeof *pass->order);
    pass->shard_status = take(build, options->shards, sizeof *pass->shard_status);
    pass->logit_rows = take_reals(build, images * pass->network->classes);
    pass->given_statistics = take_reals(build, pass->statistics.size);
    pass->measured_statistics = take_reals(build, pass->statistics.size);
    pass->values = take_reals(build, pass->parameters.size);
    pass->picture_mean = take_reals(build, MAX_PICTURE_CHANNELS);
    pass->picture_deviation = take_reals(build, MAX_PICTURE_CHANNELS);
    pass->gradient_stride = round_up((int)pass->parameters.size + READ_SLACK, CHANNEL_ALIGN);
    pass->gradients = options->backward && options->shards > 1
                          ? take_reals(build, pass->gradient_stride * options->shards)
                          : NULL;
}

static void build_scratch(struct build *build) {
    for (int worker = 0; worker < pass_threads(build->pass); worker++)
        build->pass->scratch[worker] = take_operand(build, 1, build->scratch);
}

/* Tensors know widths where operations read them. */
static void point_to_widths(struct pass *pass) {
    int layers = pass->network->layer_count, groups = pass->options.groups;
    if (!pass->ops->memory->separate)
        pass->device_widths = pass->width_memory;
    int *next = pass->device_widths;
    for (int layer = 0; layer < layers; layer++) {
        struct layer_widths *widths = &pass->widths[layer];
        int **each[] = {&widths->filters, &widths->out, &widths->expand, &widths->squeeze,
                        &widths->kernel};
        for (int i = 0; i < WIDTHS_PER_LAYER; i++, next = next ? next + groups : NULL)
            *each[i] = next;
    }
    pass->picture_channels = next;
}

static void build_lasting(struct build *build) {
    if (build->pass->ops->memory->separate)
        build_operands(build);
    point_to_widths(build->pass);
    build_batch(build);
}

static void build_shared(struct build *build) {
    size_t rows = partial_rows(build->pass);
    for (int buffer = 0; buffer < BUFFER_COUNT; buffer++)
        build->data[buffer] = take_elements(build, build->image_size[buffer] * build->pass->slots);
    if (!build->pass->ops->memory->separate)
        return;
    build->partial = take_operand(build, rows * 2 * build->widest_norm, sizeof(double));
    build->row_count = take_operand(build, rows, sizeof(double));
}

/* The sizes of shared buffers are known after a look at all layers. */
static void measure(struct build *build, struct pass *pass, int resolution) {
    *build = (struct build){.pass = pass, .measures = true, .scratch = pass->ops->scratch};
    pass->resolution = resolution;
    build_lasting(build);
    build_layers(build);
    build_shared(build);
    build_scratch(build);
}

static void cut(struct build *build) {
    build->measures = false;
    build->bytes = build->device_bytes = 0;
    build_lasting(build);
    build_shared(build);
    build_layers(build);
    build_scratch(build);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

enum status pass_build(struct pass *pass) {
    struct build build;
    size_t bytes = 0, device_bytes = 0;
    for (int resolution = network_resolutions(pass->network) - 1; resolution >= 0; resolution--) {
        measure(&build, pass, resolution);
        bytes = larger(bytes, build.bytes);
        device_bytes = larger(device_bytes, build.device_bytes);
    }
    pass->bytes = bytes + device_bytes;
    TRY(arena_create(&pass->arena, bytes, "a pass"));
    if (device_bytes > 0)
        TRY(pass->ops->memory->take(&pass->device, device_bytes, "the activations of a pass"));
    cut(&build);
    return STATUS_OK;
}

void pass_build_again(struct pass *pass, int resolution) {
    struct build build;
    measure(&build, pass, resolution);
    arena_begin_anew(pass->arena);
    cut(&build);
}
