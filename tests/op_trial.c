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
}

enum content { RANDOM, UNSET };

/* Channels that the group keeps count, and so does what lies behind the packed pixels of a segment:
 * nobody may write there. */
static struct tensor make_tensor(struct op_trial *trial, const char *name, int height, int width,
                                 int channels, int align, const int *kept, enum content content) {
    struct tensor tensor = {.image_size = (size_t)height * width * round_up(channels, align),
                            .height = height,
                            .width = width,
                            .channels = channels,
                            .align = align,
                            .kept = kept};
    struct op_buffer *buffer =
        op_take(&trial->memory, name, ELEMENT_REAL, tensor.image_size * (FIRST_SLOT + IMAGES + 1));
    tensor.data = buffer->data;
    memset(buffer->counts, 1, buffer->count);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        int ld = tensor_ld(&tensor, segment);
        for (int p = 0; p < op_pixels(&tensor, segment); p++) {
            size_t at = (size_t)(op_pixel(&tensor, segment, p) - tensor.data);
            for (int c = 0; c < ld; c++) {
                buffer->counts[at + c] = c < kept[segment->group];
                if (c < kept[segment->group] && content == RANDOM)
                    op_set(buffer, at + c, op_random(&trial->memory, -1.5, 1.5));
            }
        }
    }
    return tensor;
}

static struct op_buffer *make_vector(struct op_trial *trial, const char *name, size_t count,
                                     double low, double high) {
    struct op_buffer *buffer = op_take(&trial->memory, name, ELEMENT_REAL, count);
    memset(buffer->counts, 1, count);
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
            rows->counts[at] = 1;
            if (content == RANDOM)
                op_set(rows, at, op_random(&trial->memory, low, high));
        }
    }
    return rows->data;
}

static struct batch_norm make_norm(struct op_trial *trial, enum case_norm kind, int channels,
                                   const int *kept, enum content content) {
    static const enum norm_mode modes[] = {
        [PER_GROUP] = NORM_PER_GROUP, [SHARED] = NORM_SHARED, [FIXED] = NORM_FIXED};
    struct batch_norm norm = {.channels = channels,
                              .stride = round_up(channels, CHANNEL_ALIGN),
                              .mode = modes[kind],
                              .epsilon = (real)1e-3};
    enum content given = kind == FIXED ? RANDOM : content;
    norm.mean = make_rows(trial, "mean", &norm, kept, given, -0.5, 0.5);
    norm.variance = make_rows(trial, "variance", &norm, kept, given, 0.1, 2);
    norm.scale = make_rows(trial, "scale", &norm, kept, content, 0.5, 4);
    norm.shift = make_rows(trial, "shift", &norm, kept, content, -1, 4);
    norm.grad_y = make_rows(trial, "grad_y", &norm, kept, content, -2, 2);
    norm.grad_z = make_rows(trial, "grad_z", &norm, kept, content, -1, 1);
    norm.grad_one = make_rows(trial, "grad_one", &norm, kept, content, -1, 1);

    int rows = FIRST_ROW + TRIAL_SEGMENTS;
    struct op_buffer *partial =
        op_take(&trial->memory, "partial", ELEMENT_DOUBLE, (size_t)rows * 2 * norm.stride);
    struct op_buffer *row_count = op_take(&trial->memory, "row_count", ELEMENT_DOUBLE, rows);
    memset(row_count->counts, 1, rows);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int which = 0; which < 2; which++)
            memset(partial->counts + ((size_t)segment->index * 2 + which) * norm.stride, 1,
                   kept[segment->group]);
    }
    norm.partial = partial->data;
    norm.row_count = row_count->data;
    return norm;
}

/* Pre-activations keep away from the kinks of all activations: neither rounding nor a finite
 * difference may cross one. */
static void avoid_kinks(struct op_trial *trial) {
    const struct batch_norm *norm = trial->test->input_norm ? &trial->input_norm : NULL;
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < op_pixels(&trial->input, segment); p++) {
            real *z = op_pixel(&trial->input, segment, p);
            for (int c = 0; c < tensor_kept(&trial->input, segment); c++) {
                size_t row = norm ? (size_t)norm_domain(norm, segment) * norm->stride + c : 0;
                double scale = norm ? (double)norm->scale[row] : 1;
                double y = scale * (double)z[c] + (norm ? (double)norm->shift[row] : 0);
                if (fabs(y - 3 * round(y / 3)) < 0.02)
                    z[c] += (real)(0.05 / scale);
            }
        }
    }
}

/* The view that is read: tensor, norm, gate and gradient. */
static struct view make_view(struct op_trial *trial, int height, int width, int channels,
                             const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_input ? 1 : CHANNEL_ALIGN;
    for (int g = 0; g < CASE_GROUPS; g++)
        trial->kept_gradient[g] = kept[g] + test->wider_gradient;
    trial->input = make_tensor(trial, "input", height, width, channels, align, kept, RANDOM);
    trial->input_gradient = make_tensor(
        trial, "input gradient", height, width, channels + test->wider_gradient, align,
        trial->kept_gradient, test->accumulate || test->kind == OP_SQUEEZE_EXCITE ? RANDOM : UNSET);
    struct view view = {.tensor = &trial->input,
                        .activation = test->activation,
                        .gradient = test->no_gradient ? NULL : &trial->input_gradient,
                        .accumulate = test->accumulate && test->kind != OP_COMBINE};
    if (test->input_norm) {
        trial->input_norm = make_norm(trial, test->input_norm, channels, kept, RANDOM);
        view.norm = &trial->input_norm;
    }
    if (test->gate) {
        trial->gate = make_tensor(trial, "gate", 1, 1, channels, CHANNEL_ALIGN, kept, RANDOM);
        view.gate = &trial->gate;
    }
    avoid_kinks(trial);
    return view;
}

static void make_output(struct op_trial *trial, int height, int width, int channels,
                        const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_output ? 1 : CHANNEL_ALIGN;
    for (int g = 0; g < CASE_GROUPS; g++)
        trial->kept_output_gradient[g] = kept[g] + test->wider_gradient;
    trial->output = make_tensor(trial, "output", height, width, channels, align, kept, UNSET);
    trial->output_gradient =
        make_tensor(trial, "output gradient", height, width, channels + test->wider_gradient, align,
                    trial->kept_output_gradient, RANDOM);
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
                    if (y >= margin && x >= margin && y < end && x < end && !weights->counts[at]) {
                        weights->counts[at] = 1;
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
        .input = make_view(trial, test->height, test->width, test->channels, test->inputs),
        .kernel = kernel,
        .kernels = test->kernels,
        .stride = stride,
        .depthwise = depthwise,
        .bias_offset = 3,
        .weight_offset = 3 + test->filters};
    make_output(trial, (test->height - 1) / stride + 1, (test->width - 1) / stride + 1,
                test->filters, test->outputs);
    convolution->output = trial->output;
    convolution->output_gradient = &trial->output_gradient;
    if (test->output_norm) {
        trial->output_norm =
            make_norm(trial, test->output_norm, test->filters, test->outputs, RANDOM);
        convolution->norm = &trial->output_norm;
    }
    make_parameters(trial,
                    convolution->weight_offset + (size_t)test->filters * inputs * kernel * kernel);
    set_weights(trial, convolution->weight_offset, inputs, kernel, test->outputs,
                depthwise ? NULL : test->inputs, test->kernel ? test->kernels : NULL);
    set_weights(trial, convolution->bias_offset, 1, 1, test->outputs, NULL, NULL);
    convolution->weight = trial->parameters + convolution->weight_offset;
    convolution->bias = test->bias ? trial->parameters + convolution->bias_offset : NULL;
    convolution->prepared = op_take(&trial->memory, "prepared", ELEMENT_REAL,
                                    trial->ops->convolution_prepared_size(convolution))
                                ->data;
}

/* What segments leave behind for the batch-norm; one of them was skipped. */
static void set_partials(struct op_trial *trial) {
    struct batch_norm *norm = &trial->output_norm;
    struct op_buffer *partial = op_find(&trial->memory, norm->partial);
    for (int s = 0; s < TRIAL_SEGMENTS; s++) {
        const struct segment *segment = &trial->segments[s];
        double pixels = op_pixels(&trial->input, segment);
        norm->row_count[segment->index] = s == 1 ? 0 : pixels;
        for (int c = 0; c < trial->test->inputs[segment->group]; c++) {
            size_t at = (size_t)segment->index * 2 * norm->stride + c;
            op_set(partial, at, op_random(&trial->memory, -2, 2));
            op_set(partial, at + norm->stride, pixels * op_random(&trial->memory, 0, 2));
        }
    }
}

static void make_batch_norm(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    trial->input = make_tensor(trial, "z", test->height, test->width, test->channels, CHANNEL_ALIGN,
                               test->inputs, RANDOM);
    trial->output_norm = make_norm(trial, test->output_norm, test->channels, test->inputs, UNSET);
    struct batch_norm *norm = &trial->output_norm;
    norm->bias_offset = 3;
    norm->weight_offset = 3 + test->channels;
    make_parameters(trial, norm->weight_offset + test->channels);
    int all[CASE_GROUPS] = {test->output_norm == FIXED ? test->channels : 0};
    const int *kept = test->output_norm == FIXED ? all : test->inputs;
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
    trial->shortcut = make_tensor(trial, "shortcut", height, width, test->channels, CHANNEL_ALIGN,
                                  test->inputs, RANDOM);
    for (int g = 0; g < CASE_GROUPS; g++)
        trial->kept_shortcut_gradient[g] = test->inputs[g] + test->wider_gradient;
    trial->shortcut_gradient = make_tensor(
        trial, "shortcut gradient", height, width, test->channels + test->wider_gradient,
        CHANNEL_ALIGN, trial->kept_shortcut_gradient, test->accumulate ? RANDOM : UNSET);
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
    for (int g = 0; g < CASE_GROUPS; g++) {
        int bypassed = smaller(test->inputs[g], test->bypass);
        trial->kept_output[g] = bypassed > test->outputs[g] ? bypassed : test->outputs[g];
    }
    int most = test->filters > test->channels ? test->filters : test->channels;
    make_output(trial, test->height, test->width, most, trial->kept_output);
    trial->combine.main = make_view(trial, test->height, test->width, test->filters, test->outputs);
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
        .input = make_view(trial, test->height, test->width, channels, test->inputs),
        .pooled = make_tensor(trial, "pooled", 1, 1, channels, CHANNEL_ALIGN, test->inputs, UNSET),
        .hidden = make_tensor(trial, "hidden", 1, 1, hidden, CHANNEL_ALIGN, test->outputs, UNSET),
        .gate = make_tensor(trial, "gate", 1, 1, channels, CHANNEL_ALIGN, test->inputs, UNSET),
        .expand_bias_offset = 3,
        .reduce_bias_offset = 3 + channels};
    squeeze->expand_offset = squeeze->reduce_bias_offset + hidden;
    squeeze->reduce_offset = squeeze->expand_offset + (size_t)channels * hidden;
    make_parameters(trial, squeeze->reduce_offset + (size_t)channels * hidden);
    set_weights(trial, squeeze->expand_offset, hidden, 1, test->inputs, test->outputs, NULL);
    set_weights(trial, squeeze->reduce_offset, channels, 1, test->outputs, test->inputs, NULL);
    set_weights(trial, squeeze->expand_bias_offset, 1, 1, test->inputs, NULL, NULL);
    set_weights(trial, squeeze->reduce_bias_offset, 1, 1, test->outputs, NULL, NULL);
    squeeze->expand = trial->parameters + squeeze->expand_offset;
    squeeze->reduce = trial->parameters + squeeze->reduce_offset;
    squeeze->expand_bias = trial->parameters + squeeze->expand_bias_offset;
    squeeze->reduce_bias = trial->parameters + squeeze->reduce_bias_offset;
}

static void make_pool_mean(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct view view = make_view(trial, test->height, test->width, test->channels, test->inputs);
    make_output(trial, 1, 1, test->channels, test->inputs);
    trial->pool_mean = (struct pool_mean){
        .input = view, .output = trial->output, .output_gradient = &trial->output_gradient};
}

static void make_loss(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    int pictures = FIRST_PICTURE + IMAGES;
    trial->input = make_tensor(trial, "logits", 1, 1, test->channels, 1, test->inputs, RANDOM);
    /* One image far outside of exp's range. */
    for (int c = 0; c < test->channels; c++)
        op_pixel(&trial->input, &trial->segments[1], 0)[c] *= 1000;
    trial->output_gradient =
        make_tensor(trial, "gradient of logits", 1, 1, test->channels, 1, test->inputs, UNSET);
    struct op_buffer *labels = op_take(&trial->memory, "labels", ELEMENT_INT, pictures);
    for (int i = 0; i < pictures; i++)
        op_set(labels, i, op_random(&trial->memory, 0, test->channels));
    struct op_buffer *losses = op_take(&trial->memory, "losses", ELEMENT_DOUBLE, pictures);
    struct op_buffer *correct = op_take(&trial->memory, "correct", ELEMENT_BYTE, pictures);
    memset(losses->counts, 1, pictures);
    memset(correct->counts, 1, pictures);
    trial->loss = (struct loss){
        .logits = &trial->input,
        .gradient = test->no_gradient ? NULL : &trial->output_gradient,
        .labels = labels->data,
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
        .correct = correct->data};
}

static void make_pictures(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    size_t bytes = (size_t)(FIRST_PICTURE + IMAGES) * test->height * test->width * test->channels;
    struct op_buffer *pictures = op_take(&trial->memory, "pictures", ELEMENT_BYTE, bytes);
    for (size_t i = 0; i < bytes; i++)
        op_set(pictures, i, op_random(&trial->memory, 0, 256));
    trial->output = make_tensor(trial, "output", test->height, test->width, test->channels, 1,
                                test->inputs, UNSET);
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

void op_trial_create(struct op_trial *trial, const struct op_case *test, const struct ops *ops,
                     unsigned seed, double spare) {
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
        [OP_UPDATE] = make_vectors,
        [OP_AVERAGE] = make_vectors,
    };
    *trial = (struct op_trial){.test = test, .ops = ops};
    trial->memory = (struct op_memory){.spare = spare, .random = seed};
    make_segments(trial);
    make[test->kind](trial);
    size_t scratch = ops->scratch;
    if (test->kind <= OP_DEPTHWISE)
        scratch = ops->convolution_scratch(&trial->convolution);
    trial->slice.segments = trial->segments;
    trial->slice.count = TRIAL_SEGMENTS;
    trial->slice.scratch =
        op_take(&trial->memory, "scratch", ELEMENT_REAL, scratch / sizeof(real))->data;
}

void op_trial_release(struct op_trial *trial) {
    op_memory_release(&trial->memory);
}
