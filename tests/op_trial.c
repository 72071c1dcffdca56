#include "op_trial.h"
#include "op_operands.h"

static void make_convolution(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct convolution *convolution = &trial->convolution;
    int depthwise = test->kind == OP_DEPTHWISE, inputs = depthwise ? 1 : test->channels;
    int kernel = test->kernel ? test->kernel : 1, stride = test->stride ? test->stride : 1;
    *convolution = (struct convolution){
        .kind = depthwise                    ? CONVOLUTION_DEPTHWISE
                : test->kind == OP_POINTWISE ? CONVOLUTION_POINTWISE
                                             : CONVOLUTION_DENSE,
        .input = op_make_view(trial, test->height, test->width, test->channels, trial->inputs),
        .kernel = kernel,
        .kernels = trial->kernels,
        .stride = stride,
        .bias_offset = 3,
        .weight_offset = 3 + test->filters};
    op_make_output(trial, (test->height - 1) / stride + 1, (test->width - 1) / stride + 1,
                   test->filters, trial->outputs);
    convolution->output = trial->output;
    convolution->output_gradient = &trial->output_gradient;
    if (test->output_norm) {
        trial->output_norm =
            op_make_norm(trial, test->output_norm, test->filters, trial->outputs, RANDOM);
        convolution->norm = &trial->output_norm;
    }
    op_make_parameters(trial, convolution->weight_offset +
                                  (size_t)test->filters * inputs * kernel * kernel);
    op_set_weights(trial, convolution->weight_offset, inputs, kernel, trial->outputs,
                   depthwise ? NULL : trial->inputs, test->kernel ? trial->kernels : NULL);
    op_set_weights(trial, convolution->bias_offset, 1, 1, trial->outputs, NULL, NULL);
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
    for (int s = 0; s < trial->segment_count; s++) {
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
    trial->input = op_make_tensor(trial, "z", test->height, test->width, test->channels,
                                  trial->layout.align, trial->inputs, RANDOM);
    trial->output_norm =
        op_make_norm(trial, test->output_norm, test->channels, trial->inputs, UNSET);
    struct batch_norm *norm = &trial->output_norm;
    norm->bias_offset = 3;
    norm->weight_offset = 3 + test->channels;
    op_make_parameters(trial, norm->weight_offset + test->channels);
    int all[MOST_GROUPS] = {test->output_norm == FIXED ? test->channels : 0};
    const int *kept = test->output_norm == FIXED ? all : trial->inputs;
    op_set_weights(trial, norm->weight_offset, 1, 1, kept, NULL, NULL);
    op_set_weights(trial, norm->bias_offset, 1, 1, kept, NULL, NULL);
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
    trial->shortcut = op_make_tensor(trial, "shortcut", height, width, test->channels,
                                     trial->layout.align, trial->inputs, RANDOM);
    const int *kept_gradient =
        op_make_counts(trial, "kept shortcut gradient", trial->inputs, test->wider_gradient);
    trial->shortcut_gradient = op_make_tensor(
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
    int kept[MOST_GROUPS];
    for (int g = 0; g < trial->groups; g++) {
        int bypassed = smaller(trial->inputs[g], test->bypass);
        kept[g] = bypassed > trial->outputs[g] ? bypassed : trial->outputs[g];
    }
    int most = test->filters > test->channels ? test->filters : test->channels;
    op_make_output(trial, test->height, test->width, most,
                   op_make_counts(trial, "kept output", kept, 0));
    trial->combine.main =
        op_make_view(trial, test->height, test->width, test->filters, trial->outputs);
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
        .input = op_make_view(trial, test->height, test->width, channels, trial->inputs),
        .pooled = op_make_tensor(trial, "pooled", 1, 1, channels, trial->layout.align,
                                 trial->inputs, UNSET),
        .hidden = op_make_tensor(trial, "hidden", 1, 1, hidden, trial->layout.align, trial->outputs,
                                 UNSET),
        .gate = op_make_tensor(trial, "gate", 1, 1, channels, trial->layout.align, trial->inputs,
                               UNSET),
        .expand_bias_offset = 3,
        .reduce_bias_offset = 3 + channels};
    squeeze->expand_offset = squeeze->reduce_bias_offset + hidden;
    squeeze->reduce_offset = squeeze->expand_offset + (size_t)channels * hidden;
    op_make_parameters(trial, squeeze->reduce_offset + (size_t)channels * hidden);
    op_set_weights(trial, squeeze->expand_offset, hidden, 1, trial->inputs, trial->outputs, NULL);
    op_set_weights(trial, squeeze->reduce_offset, channels, 1, trial->outputs, trial->inputs, NULL);
    op_set_weights(trial, squeeze->expand_bias_offset, 1, 1, trial->inputs, NULL, NULL);
    op_set_weights(trial, squeeze->reduce_bias_offset, 1, 1, trial->outputs, NULL, NULL);
    squeeze->expand = trial->parameters + squeeze->expand_offset;
    squeeze->reduce = trial->parameters + squeeze->reduce_offset;
    squeeze->expand_bias = trial->parameters + squeeze->expand_bias_offset;
    squeeze->reduce_bias = trial->parameters + squeeze->reduce_bias_offset;
}

static void make_pool_mean(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    struct view view =
        op_make_view(trial, test->height, test->width, test->channels, trial->inputs);
    op_make_output(trial, 1, 1, test->channels, trial->inputs);
    trial->pool_mean = (struct pool_mean){
        .input = view, .output = trial->output, .output_gradient = &trial->output_gradient};
}

static void make_loss(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    int pictures = FIRST_PICTURE + trial->images;
    trial->input = op_make_tensor(trial, "logits", 1, 1, test->channels, 1, trial->inputs, RANDOM);
    /* One image far outside of exp's range. */
    struct op_buffer *logits = op_find(&trial->memory, trial->input.data);
    for (int c = 0; c < test->channels; c++) {
        size_t at = op_at(&trial->input, &trial->segments[1], 0, c);
        op_set(logits, at, op_round_bf16(1000 * op_element(logits, at)));
    }
    trial->output_gradient =
        op_make_tensor(trial, "gradient of logits", 1, 1, test->channels, 1, trial->inputs, UNSET);
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
        .weights = test->weighted ? op_make_vector(trial, "weights", pictures, 0.5, 2)->data : NULL,
        .teacher =
            test->teacher
                ? op_make_vector(trial, "teacher", (size_t)pictures * test->channels, -5, 5)->data
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
    size_t bytes =
        (size_t)(FIRST_PICTURE + trial->images) * test->height * test->width * test->channels;
    struct op_buffer *pictures = op_take(&trial->memory, "pictures", ELEMENT_BYTE, bytes);
    for (size_t i = 0; i < bytes; i++)
        op_set(pictures, i, op_random(&trial->memory, 0, 256));
    trial->output = op_make_tensor(trial, "output", test->height, test->width, test->channels, 1,
                                   trial->inputs, UNSET);
    trial->normalise_pictures = (struct normalise_pictures){
        .pictures = pictures->data,
        .output = trial->output,
        .mean = op_make_vector(trial, "mean", test->channels, 0.2, 0.8)->data,
        .deviation = op_make_vector(trial, "deviation", test->channels, 0.2, 0.4)->data};
}

/* update: weight, gradient, velocity and (not negative) square; average: average and weight. */
static void make_vectors(struct op_trial *trial) {
    for (int t = 0; t < TRIAL_TERMS; t++)
        trial->vectors[t] =
            op_make_vector(trial, "vector", trial->test->channels, t == 3 ? 0 : -1, 1)->data;
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

static const int *counts_of(struct op_trial *trial, const char *name,
                            const int of_case[CASE_GROUPS]) {
    int counts[MOST_GROUPS];
    for (int g = 0; g < trial->groups; g++)
        counts[g] = of_case[g % CASE_GROUPS];
    return op_make_counts(trial, name, counts, 0);
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
    op_make_segments(trial);
    trial->inputs = counts_of(trial, "inputs", test->inputs);
    trial->outputs = counts_of(trial, "outputs", test->outputs);
    trial->kernels = counts_of(trial, "kernels", test->kernels);
    make[test->kind](trial);
    size_t scratch = scratch_size(trial) / sizeof(real);
    trial->slice.segments = trial->segments;
    trial->slice.device_segments = trial->device_segments;
    trial->slice.count = trial->segment_count;
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
