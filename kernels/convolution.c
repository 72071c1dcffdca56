#include "convolution.h"
#include "cpu.h"
#include "vector.h"

static int pixels(const struct tensor *tensor) {
    return tensor->height * tensor->width;
}

static int has_moments(const struct convolution *convolution) {
    return convolution->norm != NULL && convolution->norm->mode != NORM_FIXED;
}

void output_begin(struct output *output, const struct convolution *convolution,
                  const struct segment *segment, struct scratch *scratch) {
    const struct tensor *tensor = &convolution->output;
    int kept = tensor_kept(tensor, segment), ld = output_ld(convolution, segment);
    *output = (struct output){.convolution = convolution,
                              .segment = segment,
                              .sums = {.first = scratch_doubles(scratch, ld),
                                       .second = scratch_doubles(scratch, ld),
                                       .origin = tensor_segment(tensor, segment)},
                              .kept = kept,
                              .in_place = tensor->align == CHANNEL_ALIGN};
    channel_sums_clear(&output->sums, kept);
}

struct target output_target(const struct output *output, int first, real *room) {
    int ld = output_ld(output->convolution, output->segment);
    real *rows = tensor_segment(&output->convolution->output, output->segment);
    return (struct target){
        .at = output->in_place ? rows + (size_t)first * ld : room, .ld = ld, .store = PRODUCT_SET};
}

static void add_bias(real *z, int ld, const real *bias, int count, int kept) {
    for (int c = 0; c < kept; c += LANES) {
        vec addend = vec_load(bias + c);
        for (int r = 0; r < count; r++) {
            real *at = z + (size_t)r * ld + c;
            vec_store(at, vec_load(at) + addend);
        }
    }
}

void output_panel(struct output *output, int first, int count, real *z, int ld) {
    const struct convolution *convolution = output->convolution;
    if (convolution->bias != NULL)
        add_bias(z, ld, convolution->bias, count, output->kept);
    if (!output->in_place) {
        int ld_into = tensor_ld(&convolution->output, output->segment);
        real *into = tensor_segment(&convolution->output, output->segment);
        into += (size_t)first * ld_into;
        for (int r = 0; r < count; r++) {
            for (int c = 0; c < output->kept; c++)
                into[(size_t)r * ld_into + c] = z[(size_t)r * ld + c];
        }
    }
    if (has_moments(convolution))
        panel_moments(z, ld, count, output->kept, &output->sums);
}

void output_end(struct output *output) {
    const struct convolution *convolution = output->convolution;
    if (has_moments(convolution))
        partial_from_moments(convolution->norm, output->segment, &output->sums, output->kept,
                             (double)output->segment->images * pixels(&convolution->output));
}

void output_absent(const struct convolution *convolution, const struct segment *segment) {
    if (has_moments(convolution))
        convolution->norm->row_count[segment->index] = 0;
}

struct rows output_gradient_rows(const struct convolution *convolution,
                                 const struct segment *segment, int first, int count, real *room) {
    const struct tensor *gradient = convolution->output_gradient;
    int ld_dy = tensor_ld(gradient, segment);
    const real *dy = tensor_segment(gradient, segment) + (size_t)first * ld_dy;
    if (convolution->norm == NULL)
        return (struct rows){.at = dy, .ld = ld_dy};

    struct norm_rows norm = norm_rows(convolution->norm, segment);
    int ld_z = tensor_ld(&convolution->output, segment), ld = output_ld(convolution, segment);
    const real *z = tensor_segment(&convolution->output, segment) + (size_t)first * ld_z;
    panel_gradient(room, ld, dy, ld_dy, z, ld_z, count, tensor_kept(&convolution->output, segment),
                   &norm);
    return (struct rows){.at = room, .ld = ld};
}

size_t weight_sums_size(int inputs, int outputs) {
    return (size_t)round_up(inputs, CHANNEL_ALIGN) * round_up(outputs, CHANNEL_ALIGN);
}

void weight_sums_begin(struct weight_sums *sums, int inputs, int outputs, struct scratch *scratch) {
    int along_outputs = inputs * vec_count(outputs) < outputs * vec_count(inputs);
    *sums = (struct weight_sums){.at = scratch_reals(scratch, weight_sums_size(inputs, outputs)),
                                 .ld = round_up(along_outputs ? outputs : inputs, CHANNEL_ALIGN),
                                 .inputs = inputs,
                                 .outputs = outputs,
                                 .along_outputs = along_outputs,
                                 .empty = 1};
}

void weight_sums_panel(struct weight_sums *sums, struct rows dz, struct rows a, int count) {
    enum product_store store = sums->empty ? PRODUCT_SET : PRODUCT_ADD;
    if (sums->along_outputs)
        product_of_columns(store, sums->at, sums->ld, a.at, a.ld, dz.at, dz.ld, count, sums->inputs,
                           sums->outputs);
    else
        product_of_columns(store, sums->at, sums->ld, dz.at, dz.ld, a.at, a.ld, count,
                           sums->outputs, sums->inputs);
    sums->empty = 0;
}

void bias_gradient_panel(const struct convolution *convolution, const struct slice *slice,
                         struct rows dz, int count, int kept) {
    if (convolution->bias == NULL)
        return;
    real *gradient = slice->gradient + convolution->bias_offset;
    for (int r = 0; r < count; r++) {
        for (int c = 0; c < kept; c++)
            gradient[c] += dz.at[(size_t)r * dz.ld + c];
    }
}

size_t convolution_prepared_size(const struct convolution *convolution) {
    size_t taps = (size_t)convolution->kernel * convolution->kernel;
    size_t inputs = convolution->input.tensor->channels;
    size_t outputs = round_up(convolution->output.channels, CHANNEL_ALIGN);
    return convolution->kind == CONVOLUTION_DEPTHWISE ? 2 * taps * outputs
                                                      : taps * inputs * outputs;
}

/* Padded pictures, rows of taps, weights and their gradients; the pointwise convolution is the case
 * of one tap. */
static size_t product_scratch(const struct convolution *convolution) {
    const struct tensor *tensor = convolution->input.tensor;
    int taps = convolution->kernel * convolution->kernel, padding = 2 * (convolution->kernel / 2);
    size_t inputs = round_up(tensor->channels, CHANNEL_ALIGN);
    size_t outputs = round_up(convolution->output.channels, CHANNEL_ALIGN);
    size_t depth = round_up(taps * tensor->channels, CHANNEL_ALIGN);
    size_t picture = (size_t)(tensor->height + padding) * (tensor->width + padding) * inputs;
    return scratch_bytes(2 * (picture + depth * outputs) +
                             2 * PANEL_ROWS * (inputs + outputs + depth),
                         sizeof(real)) +
           scratch_bytes(2 * (inputs + outputs), sizeof(double));
}

/* Rings of rows, widened to whole blocks at stride 2; a row of gradients; two sets of weight sums.
 */
static size_t depthwise_scratch(const struct convolution *convolution) {
    enum { BLOCK_MOST = 16 };
    const struct tensor *tensor = convolution->input.tensor;
    size_t channels = round_up(tensor->channels, CHANNEL_ALIGN);
    size_t kernel = convolution->kernel, row = tensor->width + kernel + 2 * BLOCK_MOST;
    return scratch_bytes(channels * (2 * kernel * row + row + 2 * kernel * kernel), sizeof(real)) +
           scratch_bytes(2 * channels, sizeof(double));
}

size_t convolution_scratch(const struct convolution *convolution) {
    enum { ALIGNMENT_AND_SLACK = 1 << 16 };
    return ALIGNMENT_AND_SLACK + (convolution->kind == CONVOLUTION_DEPTHWISE
                                      ? depthwise_scratch(convolution)
                                      : product_scratch(convolution));
}
