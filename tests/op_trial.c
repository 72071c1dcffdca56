#include "op_trial.h"

#include <math.h>
#include <string.h>

/* Slots, partial rows and pictures are counted from different numbers, so that one taken for the
 * other shows. */
enum { FIRST_SLOT = 1, FIRST_ROW = 2, FIRST_PICTURE = 3, IMAGES = 8 };

static void make_segments(struct op_trial *trial) {
    static const int groups[TRIAL_SEGMENTS] = {0, 0, 1, 2, 3}, images[] = {2, 1, 1, 2, 2};
    for (int s = 0, first = 0; s < TRIAL_SEGMENTS; first += images[s++])
        trial->segments[s] = (struct segment){.index = FIRST_ROW + s,
                                              .group = groups[s],
                                              .first = FIRST_SLOT + first,
                                              .images = images[s],
                                              .picture = FIRST_PICTURE + first};
    struct op_buffer *copy =
        op_take(&trial->memory, "segments", ELEMENT_BYTE, sizeof trial->segments);
    op_declare_all(copy);
    memcpy(copy->data, trial->segments, sizeof trial->segments);
    trial->device_segments = copy->data;
}

/* One number per group, where kernels read it. */
static const int *make_counts(struct op_trial *trial, const char *name, const int *counts,
                              int more) {
    struct op_buffer *buffer = op_take(&trial->memory, name, ELEMENT_INT, CASE_GROUPS);
    op_declare_all(buffer);
    for (int g = 0; g < CASE_GROUPS; g++)
        op_set(buffer, g, counts[g] + more);
    return buffer->data;
}

enum content { RANDOM, UNSET };

/* Channels that the group keeps are values; nobody may write behind the packed pixels of a
 * segment. */
static struct tensor make_tensor(struct op_trial *trial, const char *name, int height, int width,
                                 int channels, int align, const int *kept, enum content content) {
    struct tensor tensor = {.image_size = (size_t)height * width * round_up(channels, align),
                            .height = height,
                            .width = width,
                            .channels = channels,
                            .align = align,
                            .kept = kept};
    struct op_buffer *buffer = op_take(&trial->memory, name, trial->layout.activation,
                                       tensor.image_size * (FIRST_SLOT + IMAGES + 1));
    tensor.data = buffer->data;
    memset(buffer->worth, WORTH_PEACE, buffer->count);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < op_pixels(&tensor, segment); p++) {
            size_t at = op_at(&tensor, segment, p, 0);
            memset(buffer->worth + at, WORTH_NOTHING, tensor_ld(&tensor, segment));
            for (int c = 0; c < kept[segment->group]; c++) {
                op_declare(buffer, at + c);
                if (content == RANDOM)
                    op_set(buffer, at + c, op_round_bf16(op_random(&trial->memory, -1.5, 1.5)));
            }
        }
        op_end_run(buffer);
    }
    return tensor;
}

static struct op_buffer *make_vector(struct op_trial *trial, const char *name, size_t count,
                                     double low, double high) {
    struct op_buffer *buffer = op_take(&trial->memory, name, ELEMENT_REAL, count);
    op_declare_all(buffer);
    for (size_t i = 0; i < count; i++)
        op_set(buffer, i, op_random(&trial->memory, low, high));
    return buffer;
}

/* Channels of a domain's row that are valid. */
static int valid_channels(const struct batch_norm *norm, const int *kept, int domain) {
    if (norm->mode == NORM_PER_GROUP)
        return kept[domain];
    return domain == 0 ? norm->channels : 0;
}

static real *make_rows(struct op_trial *trial, const char *name, const struct batch_norm *norm,
                       const int *kept, enum content content, double low, double high) {
    struct op_buffer *rows =
        op_take(&trial->memory, name, ELEMENT_REAL, (size_t)CASE_GROUPS * norm->stride);
    for (int domain = 0; domain < CASE_GROUPS; domain++) {
        for (int c = 0; c < valid_channels(norm, kept, domain); c++) {
            size_t at = (size_t)domain * norm->stride + c;
            op_declare(rows, at);
            if (content == RANDOM)
                op_set(rows, at, op_random(&trial->memory, low, high));
        }
    }
    return rows->data;
}

static void make_partials(struct op_trial *trial, struct batch_norm *norm, const int *kept) {
    size_t rows = (size_t)(FIRST_ROW + TRIAL_SEGMENTS) * norm->parts;
    enum element element = trial->layout.partial;
    struct op_buffer *partial =
        op_take(&trial->memory, "partial", element, rows * 2 * norm->stride);
    struct op_buffer *row_count = op_take(&trial->memory, "row_count", element, rows);
    op_declare_all(row_count);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int part = 0; part < norm->parts; part++)
            for (int which = 0; which < 2; which++)
                for (int c = 0; c < kept[segment->group]; c++)
                    op_declare(partial, op_partial(norm, segment, part, which, c));
    }
    norm->partial = partial->data;
    norm->row_count = row_count->data;
}

static struct batch_norm make_norm(struct op_trial *trial, enum case_norm kind, int channels,
                                   const int *kept, enum content content) {
    static const enum norm_mode modes[] = {
        [PER_GROUP] = NORM_PER_GROUP, [SHARED] = NORM_SHARED, [FIXED] = NORM_FIXED};
    struct batch_norm norm = {.channels = channels,
                              .stride = round_up(channels, CHANNEL_ALIGN),
                              .mode = modes[kind],
                              .parts = trial->layout.parts,
                              .epsilon = (real)1e-3};
    enum content given = kind == FIXED ? RANDOM : content;
    norm.mean = make_rows(trial, "mean", &norm, kept, given, -0.5, 0.5);
    norm.variance = make_rows(trial, "variance", &norm, kept, given, 0.1, 2);
    norm.scale = make_rows(trial, "scale", &norm, kept, content, 0.5, 4);
    norm.shift = make_rows(trial, "shift", &norm, kept, content, -1, 4);
    norm.grad_y = make_rows(trial, "grad_y", &norm, kept, content, -2, 2);
    norm.grad_z = make_rows(trial, "grad_z", &norm, kept, content, -1, 1);
    norm.grad_one = make_rows(trial, "grad_one", &norm, kept, content, -1, 1);

    make_partials(trial, &norm, kept);
    return norm;
}

/* Pre-activations keep away from the kinks of all activations: neither rounding nor a finite
 * difference may cross one. */
static void avoid_kinks(struct op_trial *trial) {
    struct op_buffer *input = op_find(&trial->memory, trial->input.data);
    const struct batch_norm *norm = trial->test->input_norm ? &trial->input_norm : NULL;
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < op_pixels(&trial->input, segment); p++) {
            for (int c = 0; c < tensor_kept(&trial->input, segment); c++) {
                size_t row = norm ? (size_t)norm_domain(norm, segment) * norm->stride + c : 0;
                size_t at = op_at(&trial->input, segment, p, c);
                double z = op_element(input, at), scale = norm ? (double)norm->scale[row] : 1;
                double y = scale * z + (norm ? (double)norm->shift[row] : 0);
                if (fabs(y - 3 * round(y / 3)) < 0.02)
                    op_set(input, at, op_round_bf16(z + 0.05 / scale));
            }
        }
    }
}

/* The view that is read: tensor, norm, gate and gradient. */
static struct view make_view(struct op_trial *trial, int height, int width, int channels,
                             const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_input ? 1 : trial->layout.align;
    const int *kept_gradient = make_counts(trial, "kept gradient", kept, test->wider_gradient);
    trial->input = make_tensor(trial, "input", height, width, channels, align, kept, RANDOM);
    trial->input_gradient = make_tensor(
        trial, "input gradient", height, width, channels + test->wider_gradient, align,
        kept_gradient, test->accumulate || test->kind == OP_SQUEEZE_EXCITE ? RANDOM : UNSET);
    struct view view = {.tensor = &trial->input,
                        .activation = test->activation,
                        .gradient = test->no_gradient ? NULL : &trial->input_gradient,
                        .accumulate = test->accumulate && test->kind != OP_COMBINE};
    if (test->input_norm) {
        trial->input_norm = make_norm(trial, test->input_norm, channels, kept, RANDOM);
        view.norm = &trial->input_norm;
    }
    if (test->gate) {
        trial->gate = make_tensor(trial, "gate", 1, 1, channels, trial->layout.align, kept, RANDOM);
        view.gate = &trial->gate;
    }
    avoid_kinks(trial);
    return view;
}

static void make_output(struct op_trial *trial, int height, int width, int channels,
                        const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_output ? 1 : trial->layout.align;
    const int *kept_gradient =
        make_counts(trial, "kept output gradient", kept, test->wider_gradient);
    trial->output = make_tensor(trial, "output", height, width, channels, align, kept, UNSET);
    trial->output_gradient =
        make_tensor(trial, "output gradient", height, width, channels + test->wider_gradient, align,
                    kept_gradient, RANDOM);
}

/* Weights from `offset` on, [rows][columns][taps x taps]: what some group keeps is set. */
static void set_weights(struct op_trial *trial, size_t offset, int columns, int taps,
                        const int *kept_rows, const int *kept_columns, const int *kernels) {
    struct op_buffer *weights = op_find(&trial->memory, trial->parameters);
    for (int g = 0; g < CASE_GROUPS; g++) {
        int margin = (taps - (kernels ? kernels[g] : 1)) / 2;
        for (int r = 0; r < kept_rows[g]; r++)
            for (int c = 0; c < (kept_columns ? kept_columns[g] : 1); c++)
                for (int tap = 0; tap < taps * taps; tap++) {
                    int y = tap / taps, x = tap % taps, end = taps - margin;
                    size_t at = offset + ((size_t)r * columns + c) * taps * taps + tap;
                    if (y >= margin && x >= margin && y < end && x < end && !weights->worth[at]) {
                        op_declare(weights, at);
                        op_set(weights, at, op_random(&trial->memory, -1, 1));
                    }
                }
    }
}

/* Gradients start at random values: operations add to them. */
static void make_parameters(struct op_trial *trial, size_t count) {
    trial->parameter_count = count;
    trial->parameters = op_take(&trial->memory, "parameters", ELEMENT_REAL, count)->data;
    trial->slice.gradient = make_vector(trial, "gradient", count, -1, 1)->data;
}

static void make_convolution(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct convolution *convolution = &trial->convolution;
    int depthwise = test->kind == OP_DEPTHWISE, inputs = depthwise ? 1 : test->channels;
    int kernel = test->kernel ? test->kernel : 1, stride = test->stride ? test->stride : 1;
    *convolution = (struct convolution){
        .input = make_view(trial, test->height, test->width, test->channels, trial->inputs),
        .kernel = kernel,
        .kernels = trial->kernels,
        .stride = stride,
        .depthwise = depthwise,
        .bias_offset = 3,
        .weight_offset = 3 + test->filters};
    make_output(trial, (test->height - 1) / stride + 1, (test->width - 1) / stride + 1,
                test->filters, trial->outputs);
    convolution->output = trial->output;
    convolution->output_gradient = &trial->output_gradient;
    if (test->output_norm) {
        trial->output_norm =
            make_norm(trial, test->output_norm, test->filters, trial->outputs, RANDOM);
        convolution->norm = &trial->output_norm;
    }
    make_parameters(trial,
                    convolution->weight_offset + (size_t)test->filters * inputs * kernel * kernel);
    set_weights(trial, convolution->weight_offset, inputs, kernel, trial->outputs,
                depthwise ? NULL : trial->inputs, test->kernel ? trial->kernels : NULL);
    set_weights(trial, convolution->bias_offset, 1, 1, trial->outputs, NULL, NULL);
    convolution->weight = trial->parameters + convolution->weight_offset;
    convolution->bias = test->bias ? trial->parameters + convolution->bias_offset : NULL;
    convolution->prepared = op_take(&trial->memory, "prepared", ELEMENT_REAL,
                                    trial->ops->convolution_prepared_size(convolution))
                                ->data;
}

/* What segments leave behind for the batch-norm; one of them was skipped, and so may be parts that
 * have no pixels: nothing was written there. */
static void set_partials(struct op_trial *trial) {
    struct batch_norm *norm = &trial->output_norm;
    struct op_buffer *partial = op_find(&trial->memory, norm->partial);
    struct op_buffer *row_count = op_find(&trial->memory, norm->row_count);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        int kept = trial->inputs[segment->group];
        for (int part = 0; part < norm->parts; part++) {
            int all = s == 1 ? 0 : op_pixels(&trial->input, segment);
            int pixels = all * (part + 1) / norm->parts - all * part / norm->parts;
            op_set(row_count, op_row(norm, segment, part), pixels);
            for (int c = 0; c < kept && pixels > 0; c++) {
                double mean = op_random(&trial->memory, -2, 2);
                double squares = pixels * op_random(&trial->memory, 0, 2);
                op_set(partial, op_partial(norm, segment, part, 0, c), (double)(real)mean);
                op_set(partial, op_partial(norm, segment, part, 1, c), (double)(real)squares);
            }
        }
    }
}

static void make_batch_norm(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    trial->input = make_tensor(trial, "z", test->height, test->width, test->channels,
                               trial->layout.align, trial->inputs, RANDOM);
    trial->output_norm = make_norm(trial, test->output_norm, test->channels, trial->inputs, UNSET);
    struct batch_norm *norm = &trial->output_norm;
    norm->bias_offset = 3;
    norm->weight_offset = 3 + test->channels;
    make_parameters(trial, norm->weight_offset + test->channels);
    int all[CASE_GROUPS] = {test->output_norm == FIXED ? test->channels : 0};
    const int *kept = test->output_norm == FIXED ? all : trial->inputs;
    set_weights(trial, norm->weight_offset, 1, 1, kept, NULL, NULL);
    set_weights(trial, norm->bias_offset, 1, 1, kept, NULL, NULL);
    norm->weight = trial->parameters + norm->weight_offset;
    norm->bias = trial->parameters + norm->bias_offset;
    if (test->output_norm != FIXED)
        set_partials(trial);
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static void make_shortcut(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    int height = test->pool ? 2 * test->height - test->odd_height : test->height;
    int width = test->pool ? 2 * test->width - test->odd_width : test->width;
    trial->shortcut = make_tensor(trial, "shortcut", height, width, test->channels,
                                  trial->layout.align, trial->inputs, RANDOM);
    const int *kept_gradient =
        make_counts(trial, "kept shortcut gradient", trial->inputs, test->wider_gradient);
    trial->shortcut_gradient = make_tensor(
        trial, "shortcut gradient", height, width, test->channels + test->wider_gradient,
        trial->layout.align, kept_gradient, test->accumulate ? RANDOM : UNSET);
    trial->combine.shortcut = (struct view){.tensor = &trial->shortcut,
                                            .gradient = &trial->shortcut_gradient,
                                            .accumulate = test->accumulate};
}

static void make_combine(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    trial->combine =
        (struct combine){.bypass = test->bypass, .residual = test->residual, .pool = test->pool};
    if (test->channels > 0)
        make_shortcut(trial);
    int kept[CASE_GROUPS];
    for (int g = 0; g < CASE_GROUPS; g++) {
        int bypassed = smaller(test->inputs[g], test->bypass);
        kept[g] = bypassed > test->outputs[g] ? bypassed : test->outputs[g];
    }
    int most = test->filters > test->channels ? test->filters : test->channels;
    make_output(trial, test->height, test->width, most, make_counts(trial, "kept output", kept, 0));
    trial->combine.main =
        make_view(trial, test->height, test->width, test->filters, trial->outputs);
    if (test->in_place)
        trial->combine.main.gradient = &trial->output_gradient;
    trial->combine.output = trial->output;
    trial->combine.output_gradient = &trial->output_gradient;
}

static void make_squeeze_excite(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct squeeze_excite *squeeze = &trial->squeeze_excite;
    int channels = test->channels, hidden = test->filters;
    *squeeze = (struct squeeze_excite){
        .input = make_view(trial, test->height, test->width, channels, trial->inputs),
        .pooled =
            make_tensor(trial, "pooled", 1, 1, channels, trial->layout.align, trial->inputs, UNSET),
        .hidden =
            make_tensor(trial, "hidden", 1, 1, hidden, trial->layout.align, trial->outputs, UNSET),
        .gate =
            make_tensor(trial, "gate", 1, 1, channels, trial->layout.align, trial->inputs, UNSET),
        .expand_bias_offset = 3,
        .reduce_bias_offset = 3 + channels};
    squeeze->expand_offset = squeeze->reduce_bias_offset + hidden;
    squeeze->reduce_offset = squeeze->expand_offset + (size_t)channels * hidden;
    make_parameters(trial, squeeze->reduce_offset + (size_t)channels * hidden);
    set_weights(trial, squeeze->expand_offset, hidden, 1, trial->inputs, trial->outputs, NULL);
    set_weights(trial, squeeze->reduce_offset, channels, 1, trial->outputs, trial->inputs, NULL);
    set_weights(trial, squeeze->expand_bias_offset, 1, 1, trial->inputs, NULL, NULL);
    set_weights(trial, squeeze->reduce_bias_offset, 1, 1, trial->outputs, NULL, NULL);
    squeeze->expand = trial->parameters + squeeze->expand_offset;
    squeeze->reduce = trial->parameters + squeeze->reduce_offset;
    squeeze->expand_bias = trial->parameters + squeeze->expand_bias_offset;
    squeeze->reduce_bias = trial->parameters + squeeze->reduce_bias_offset;
}

static void make_pool_mean(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct view view = make_view(trial, test->height, test->width, test->channels, trial->inputs);
    make_output(trial, 1, 1, test->channels, trial->inputs);
    trial->pool_mean = (struct pool_mean){
        .input = view, .output = trial->output, .output_gradient = &trial->output_gradient};
}

static void make_loss(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    int pictures = FIRST_PICTURE + IMAGES;
    trial->input = make_tensor(trial, "logits", 1, 1, test->channels, 1, trial->inputs, RANDOM);
    /* One image far outside of exp's range. */
    struct op_buffer *logits = op_find(&trial->memory, trial->input.data);
    for (int c = 0; c < test->channels; c++) {
        size_t at = op_at(&trial->input, &trial->segments[1], 0, c);
        op_set(logits, at, op_round_bf16(1000 * op_element(logits, at)));
    }
    trial->output_gradient =
        make_tensor(trial, "gradient of logits", 1, 1, test->channels, 1, trial->inputs, UNSET);
    struct op_buffer *labels = op_take(&trial->memory, "labels", ELEMENT_INT, pictures);
    for (int i = 0; i < pictures; i++)
        op_set(labels, i, op_random(&trial->memory, 0, test->channels));
    struct op_buffer *losses = op_take(&trial->memory, "losses", ELEMENT_DOUBLE, pictures);
    struct op_buffer *correct = op_take(&trial->memory, "correct", ELEMENT_BYTE, pictures);
    struct op_buffer *rows =
        op_take(&trial->memory, "rows", ELEMENT_REAL, (size_t)pictures * test->channels);
    op_declare_all(losses);
    op_declare_all(correct);
    op_declare_all(rows);
    trial->loss = (struct loss){
        .logits = &trial->input,
        .gradient = test->no_gradient ? NULL : &trial->output_gradient,
        .labels = test->no_labels ? NULL : labels->data,
        .weights = test->weighted ? make_vector(trial, "weights", pictures, 0.5, 2)->data : NULL,
        .teacher =
            test->teacher
                ? make_vector(trial, "teacher", (size_t)pictures * test->channels, -5, 5)->data
                : NULL,
        .smoothing = test->smoothing,
        .teacher_weight = test->teacher_weight,
        .temperature = test->temperature,
        .scale = (real)0.125,
        .losses = losses->data,
        .correct = correct->data,
        .rows = rows->data};
}

static void make_pictures(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    size_t bytes = (size_t)(FIRST_PICTURE + IMAGES) * test->height * test->width * test->channels;
    struct op_buffer *pictures = op_take(&trial->memory, "pictures", ELEMENT_BYTE, bytes);
    for (size_t i = 0; i < bytes; i++)
        op_set(pictures, i, op_random(&trial->memory, 0, 256));
    trial->output = make_tensor(trial, "output", test->height, test->width, test->channels, 1,
                                trial->inputs, UNSET);
    trial->normalise_pictures = (struct normalise_pictures){
        .pictures = pictures->data,
        .output = trial->output,
        .mean = make_vector(trial, "mean", test->channels, 0.2, 0.8)->data,
        .deviation = make_vector(trial, "deviation", test->channels, 0.2, 0.4)->data};
}

/* update: weight, gradient, velocity and (not negative) square; average: average and weight. */
static void make_vectors(struct op_trial *trial) {
    for (int t = 0; t < TRIAL_TERMS; t++)
        trial->vectors[t] =
            make_vector(trial, "vector", trial->test->channels, t == 3 ? 0 : -1, 1)->data;
}

static void make_update(struct op_trial *trial) {
    make_vectors(trial);
    trial->update = trial->test->update;
    if (!trial->test->some_decay)
        return;
    struct op_buffer *decays =
        op_take(&trial->memory, "decays", ELEMENT_BYTE, trial->test->channels);
    op_declare_all(decays);
    for (int i = 0; i < trial->test->channels; i++)
        op_set(decays, i, op_random(&trial->memory, 0, 2));
    trial->update.decays = decays->data;
}

/* A device's partial sums are floats, the host's doubles. Three parts: few, and no divisor of most
 * numbers of pixels. */
static struct op_layout layout_of(const struct ops *ops) {
    int is_device = ops->memory && ops->memory->separate;
    return (struct op_layout){.align = ops->align,
                              .activation = ops->activation_size == 2 ? ELEMENT_BF16 : ELEMENT_REAL,
                              .partial = is_device ? ELEMENT_REAL : ELEMENT_DOUBLE,
                              .parts = ops->blocks > 1 ? 3 : 1};
}

/* A trial's few images need far less than the batch that ops->scratch is made for. */
static size_t scratch_size(const struct op_trial *trial) {
    const size_t enough = 1 << 20;
    if (trial->test->kind <= OP_DEPTHWISE)
        return trial->ops->convolution_scratch(&trial->convolution);
    return trial->ops->scratch < enough ? trial->ops->scratch : enough;
}

static void create(struct op_trial *trial) {
    static void (*const make[OP_KINDS])(struct op_trial *) = {
        [OP_DENSE] = make_convolution,
        [OP_POINTWISE] = make_convolution,
        [OP_DEPTHWISE] = make_convolution,
        [OP_BATCH_NORM] = make_batch_norm,
        [OP_COMBINE] = make_combine,
        [OP_SQUEEZE_EXCITE] = make_squeeze_excite,
        [OP_POOL_MEAN] = make_pool_mean,
        [OP_LOSS] = make_loss,
        [OP_NORMALISE_PICTURES] = make_pictures,
        [OP_ADD] = make_vectors,
        [OP_UPDATE] = make_update,
        [OP_AVERAGE] = make_vectors,
    };
    const struct op_case *test = trial->test;
    int is_device = trial->ops->memory && trial->ops->memory->separate;
    trial->memory.place = is_device ? trial->ops->memory : NULL;
    make_segments(trial);
    trial->inputs = make_counts(trial, "inputs", test->inputs, 0);
    trial->outputs = make_counts(trial, "outputs", test->outputs, 0);
    trial->kernels = make_counts(trial, "kernels", test->kernels, 0);
    make[test->kind](trial);
    size_t scratch = scratch_size(trial) / sizeof(real);
    trial->slice.segments = trial->segments;
    trial->slice.device_segments = trial->device_segments;
    trial->slice.count = TRIAL_SEGMENTS;
    trial->slice.scratch = op_take(&trial->memory, "scratch", ELEMENT_REAL, scratch)->data;
}

void op_trial_create(struct op_trial *trial, const struct op_case *test, const struct ops *ops,
                     unsigned seed, double spare) {
    *trial = (struct op_trial){.test = test, .ops = ops, .seed = seed, .layout = layout_of(ops)};
    trial->memory = (struct op_memory){.spare = spare, .random = seed};
    create(trial);
}

void op_trial_create_like(struct op_trial *trial, const struct op_trial *like,
                          const struct ops *ops) {
    *trial = (struct op_trial){
        .test = like->test, .ops = ops, .seed = like->seed, .layout = layout_of(ops)};
    trial->layout.parts = like->layout.parts;
    trial->memory = (struct op_memory){.spare = like->memory.spare, .random = like->seed};
    create(trial);
}

void op_trial_release(struct op_trial *trial) {
    op_memory_release(&trial->memory);
}
