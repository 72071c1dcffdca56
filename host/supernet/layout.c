/* Where everything of a pass lies: the same walk is made twice, first to measure what is needed,
 * then to cut it from memory. Where pictures have several sizes, the same memory is cut for one of
 * them at a time; what lasts beyond a run lies first, at the same place for each. */
#include "supernet/buffers.h"

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
    pass->segments = take_host(build, segments, sizeof *pass->segments);
    pass->shards = take_host(build, options->shards, sizeof *pass->shards);
    pass->order = take_host(build, options->shards, sizeof *pass->order);
    pass->shard_status = take_host(build, options->shards, sizeof *pass->shard_status);
    pass->logit_rows = take_reals(build, images * pass->network->classes);
    pass->given_statistics = take_reals(build, pass->statistics.size);
    pass->measured_statistics = take_reals(build, pass->statistics.size);
    pass->values = take_reals(build, pass->parameters.size);
    pass->picture_mean = take_reals(build, MAX_PICTURE_CHANNELS);
    pass->picture_deviation = take_reals(build, MAX_PICTURE_CHANNELS);
    pass->gradient_stride = round_up((int)pass->parameters.size + READ_SLACK, CHANNEL_ALIGN);
    pass->gradients = options->backward && options->shards > 1
                          ? take_reals(build, pass->gradient_stride * share_most_shards(options))
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

/* The operations read the pass's own copy: it may be read past its end. */
static void point_to_values(struct pass *pass) {
    const real *values = pass->values;
    for (int i = 0; i < pass->step_count; i++) {
        struct step *step = &pass->steps[i];
        if (step->kind == STEP_SQUEEZE_EXCITE) {
            struct squeeze_excite *squeeze = &step->squeeze_excite;
            squeeze->reduce = values + squeeze->reduce_offset;
            squeeze->reduce_bias = values + squeeze->reduce_bias_offset;
            squeeze->expand = values + squeeze->expand_offset;
            squeeze->expand_bias = values + squeeze->expand_bias_offset;
        } else if (step_is_convolution(step)) {
            struct convolution *convolution = &step->convolution;
            convolution->weight = values + convolution->weight_offset;
            convolution->bias = convolution->norm ? NULL : values + convolution->bias_offset;
        }
    }
    for (int i = 0; i < pass->norm_count; i++) {
        struct batch_norm *norm = &pass->norms[i];
        norm->weight = values + norm->weight_offset;
        norm->bias = values + norm->bias_offset;
    }
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
    point_to_values(build->pass);
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
