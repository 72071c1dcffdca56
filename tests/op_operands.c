#include "op_operands.h"

#include <math.h>
#include <string.h>

void op_make_segments(struct op_trial *trial) {
    static const int images[] = {2, 1, 1, 2, 2}; /* and again */
    trial->groups = trial->test->groups ? trial->test->groups : CASE_GROUPS;
    trial->segment_count = trial->groups + 1;
    for (int s = 0; s < trial->segment_count; s++) {
        trial->segments[s] = (struct segment){.index = FIRST_ROW + s,
                                              .group = s > 0 ? s - 1 : 0,
                                              .first = FIRST_SLOT + trial->images,
                                              .images = images[s % 5],
                                              .picture = FIRST_PICTURE + trial->images};
        trial->images += images[s % 5];
    }
    size_t bytes = trial->segment_count * sizeof *trial->segments;
    struct op_buffer *copy = op_take(&trial->memory, "segments", ELEMENT_BYTE, bytes);
    op_declare_all(copy);
    memcpy(copy->data, trial->segments, bytes);
    trial->device_segments = copy->data;
}

const int *op_make_counts(struct op_trial *trial, const char *name, const int *counts, int more) {
    struct op_buffer *buffer = op_take(&trial->memory, name, ELEMENT_INT, trial->groups);
    op_declare_all(buffer);
    for (int g = 0; g < trial->groups; g++)
        op_set(buffer, g, counts[g] + more);
    return buffer->data;
}

struct tensor op_make_tensor(struct op_trial *trial, const char *name, int height, int width,
                             int channels, int align, const int *kept, enum content content) {
    struct tensor tensor = {.image_size = (size_t)height * width * round_up(channels, align),
                            .height = height,
                            .width = width,
                            .channels = channels,
                            .align = align,
                            .kept = kept};
    struct op_buffer *buffer = op_take(&trial->memory, name, trial->layout.activation,
                                       tensor.image_size * (FIRST_SLOT + trial->images + 1));
    tensor.data = buffer->data;
    memset(buffer->worth, WORTH_PEACE, buffer->count);
    for (int s = 0; s < trial->segment_count; s++) {
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

struct op_buffer *op_make_vector(struct op_trial *trial, const char *name, size_t count, double low,
                                 double high) {
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
    return norm->mode == NORM_FIXED || domain == 0 ? norm->channels : 0;
}

static real *make_rows(struct op_trial *trial, const char *name, const struct batch_norm *norm,
                       const int *kept, enum content content, double low, double high) {
    struct op_buffer *rows =
        op_take(&trial->memory, name, ELEMENT_REAL, (size_t)trial->groups * norm->stride);
    for (int domain = 0; domain < trial->groups; domain++) {
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
    size_t rows = (size_t)(FIRST_ROW + trial->segment_count) * norm->parts;
    enum element element = trial->layout.partial;
    struct op_buffer *partial =
        op_take(&trial->memory, "partial", element, rows * 2 * norm->stride);
    struct op_buffer *row_count = op_take(&trial->memory, "row_count", element, rows);
    op_declare_all(row_count);
    for (int s = 0; s < trial->segment_count; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int part = 0; part < norm->parts; part++)
            for (int which = 0; which < 2; which++)
                for (int c = 0; c < kept[segment->group]; c++)
                    op_declare(partial, op_partial(norm, segment, part, which, c));
    }
    norm->partial = partial->data;
    norm->row_count = row_count->data;
}

struct batch_norm op_make_norm(struct op_trial *trial, enum case_norm kind, int channels,
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
    for (int s = 0; s < trial->segment_count; s++) {
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

struct view op_make_view(struct op_trial *trial, int height, int width, int channels,
                         const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_input ? 1 : trial->layout.align;
    const int *kept_gradient = op_make_counts(trial, "kept gradient", kept, test->wider_gradient);
    trial->input = op_make_tensor(trial, "input", height, width, channels, align, kept, RANDOM);
    trial->input_gradient = op_make_tensor(
        trial, "input gradient", height, width, channels + test->wider_gradient, align,
        kept_gradient, test->accumulate || test->kind == OP_SQUEEZE_EXCITE ? RANDOM : UNSET);
    struct view view = {.tensor = &trial->input,
                        .activation = test->activation,
                        .gradient = test->no_gradient ? NULL : &trial->input_gradient,
                        .accumulate = test->accumulate && test->kind != OP_COMBINE};
    if (test->input_norm) {
        trial->input_norm = op_make_norm(trial, test->input_norm, channels, kept, RANDOM);
        view.norm = &trial->input_norm;
    }
    if (test->gate) {
        trial->gate =
            op_make_tensor(trial, "gate", 1, 1, channels, trial->layout.align, kept, RANDOM);
        view.gate = &trial->gate;
    }
    avoid_kinks(trial);
    return view;
}

void op_make_output(struct op_trial *trial, int height, int width, int channels, const int *kept) {
    const struct op_case *test = trial->test;
    int align = test->plain_output ? 1 : trial->layout.align;
    const int *kept_gradient =
        op_make_counts(trial, "kept output gradient", kept, test->wider_gradient);
    trial->output = op_make_tensor(trial, "output", height, width, channels, align, kept, UNSET);
    trial->output_gradient =
        op_make_tensor(trial, "output gradient", height, width, channels + test->wider_gradient,
                       align, kept_gradient, RANDOM);
}

void op_set_weights(struct op_trial *trial, size_t offset, int columns, int taps,
                    const int *kept_rows, const int *kept_columns, const int *kernels) {
    struct op_buffer *weights = op_find(&trial->memory, trial->parameters);
    for (int g = 0; g < trial->groups; g++) {
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

void op_make_parameters(struct op_trial *trial, size_t count) {
    trial->parameter_count = count;
    trial->parameters = op_take(&trial->memory, "parameters", ELEMENT_REAL, count)->data;
    trial->slice.gradient = op_make_vector(trial, "gradient", count, -1, 1)->data;
}
