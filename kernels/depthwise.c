/* Depthwise convolution: each channel with its own k x k taps; lanes of vectors are channels.
 *
 * Forward normalises and activates each input row once, into a ring of `kernel` widened rows that
 * stays in the first cache level. Backward works on whole widened images, one at a time, since the
 * weight gradient reads them once per tap row.
 */
#include "cpu.h"
#include "depthwise_rows.h"
#include "panel.h"

#include <string.h>

/* prepared: [tap][channel lanes] */
enum status depthwise_prepare(const struct convolution *convolution) {
    int taps = convolution->kernel * convolution->kernel;
    int channels = convolution->output.channels, ld = round_up(channels, CHANNEL_ALIGN);
    if (convolution->stride > 2)
        return fail(STATUS_USAGE, "a depthwise convolution has stride 1 or 2, not %d",
                    convolution->stride);
    for (int tap = 0; tap < taps; tap++)
        for (int c = 0; c < channels; c++)
            convolution->prepared[(size_t)tap * ld + c] = convolution->weight[c * taps + tap];
    return STATUS_OK;
}

static struct depthwise_shape shape_of(const struct convolution *convolution,
                                       const struct segment *segment) {
    int kept = tensor_kept(&convolution->output, segment);
    return (struct depthwise_shape){.kernel = convolution->kernels[segment->group],
                                    .stride = convolution->stride,
                                    .height = convolution->input.tensor->height,
                                    .width = convolution->input.tensor->width,
                                    .out_height = convolution->output.height,
                                    .out_width = convolution->output.width,
                                    .kept = kept,
                                    .ld = round_up(kept, CHANNEL_ALIGN)};
}

/* Where tap row ky of the kept kernel, the centre of the full one, starts in `prepared`. */
static const real *tap_row(const struct convolution *convolution,
                           const struct depthwise_shape *shape, int ky) {
    int margin = (convolution->kernel - shape->kernel) / 2;
    size_t tap = (size_t)(margin + ky) * convolution->kernel + margin;
    return convolution->prepared + tap * round_up(convolution->output.channels, CHANNEL_ALIGN);
}

static real *take(real **scratch, size_t count) {
    real *taken = *scratch;
    *scratch += count;
    return taken;
}

static struct channel_sums take_sums(real **scratch, int kept) {
    int lanes = round_up(kept, CHANNEL_ALIGN);
    double *sums = (double *)take(scratch, 2 * lanes * (sizeof(double) / sizeof(real)));
    struct channel_sums taken = {.first = sums, .second = sums + lanes};
    channel_sums_clear(&taken, kept);
    return taken;
}

/* Rows in scratch, each with zeros left and right of `width` pixels. */
struct widened {
    real *data;
    size_t row;  /* elements */
    size_t left; /* elements before the first pixel */
};

static struct widened take_widened(real **scratch, int rows, int left, int width, int pixels,
                                   int ld) {
    size_t row = (size_t)pixels * ld, first = (size_t)left * ld, end = first + (size_t)width * ld;
    struct widened taken = {.data = take(scratch, rows * row), .row = row, .left = first};
    for (int y = 0; y < rows; y++) {
        memset(taken.data + y * row, 0, first * sizeof(real));
        memset(taken.data + y * row + end, 0, (row - end) * sizeof(real));
    }
    return taken;
}

static real *widened_pixels(const struct widened *widened, int row) {
    return widened->data + row * widened->row + widened->left;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

static void add_moments(struct channel_sums *sums, const real *z, const struct tensor *tensor,
                        const struct segment *segment) {
    int ld = tensor_ld(tensor, segment), kept = tensor_kept(tensor, segment);
    for (int x = 0; x < tensor->width; x += PANEL_ROWS)
        panel_moments(z + (size_t)x * ld, ld, smaller(tensor->width - x, PANEL_ROWS), kept, sums);
}

/* One image: input z, output `out`, both first pixels. */
static void forward_image(const struct convolution *convolution, const struct segment *segment,
                          const struct depthwise_shape *shape, const struct widened *ring,
                          const real *z, real *out, struct channel_sums *sums) {
    const struct view *input = &convolution->input;
    struct norm_rows norm = norm_rows(input->norm, segment);
    int ld_z = tensor_ld(input->tensor, segment);
    int ld_out = tensor_ld(&convolution->output, segment), next = 0;
    for (int y = 0; y < shape->out_height; y++) {
        int top = y * shape->stride - shape->kernel / 2;
        int first = top < 0 ? 0 : top, end = smaller(top + shape->kernel, shape->height);
        for (next = next < first ? first : next; next < end; next++)
            panel_activate(widened_pixels(ring, next % shape->kernel), shape->ld,
                           z + (size_t)next * shape->width * ld_z, ld_z, shape->width, shape->kept,
                           &norm, input->activation, NULL);
        struct depthwise_taps pairs = {.ld_tap =
                                           round_up(convolution->output.channels, CHANNEL_ALIGN)};
        for (int row = first; row < end; row++, pairs.count++) {
            pairs.taps[pairs.count] = tap_row(convolution, shape, row - top);
            pairs.row[pairs.count] = ring->data + row % shape->kernel * ring->row;
        }
        real *out_row = out + (size_t)y * shape->out_width * ld_out;
        depthwise_row_forward(out_row, ld_out, shape, &pairs, convolution->bias);
        if (sums)
            add_moments(sums, out_row, &convolution->output, segment);
    }
}

static void forward_segment(const struct convolution *convolution, const struct segment *segment,
                            real *scratch) {
    struct batch_norm *norm = convolution->norm;
    struct depthwise_shape shape = shape_of(convolution, segment);
    struct channel_sums sums = take_sums(&scratch, shape.kept);
    struct widened ring = take_widened(&scratch, shape.kernel, depthwise_input_left(&shape),
                                       shape.width, depthwise_input_pixels(&shape), shape.ld);
    int moments = norm != NULL && norm->mode != NORM_FIXED;
    sums.origin = tensor_segment(&convolution->output, segment);
    for (int image = 0; image < segment->images; image++)
        forward_image(convolution, segment, &shape, &ring,
                      tensor_image(convolution->input.tensor, segment, image),
                      tensor_image(&convolution->output, segment, image), moments ? &sums : NULL);
    if (moments)
        partial_from_moments(norm, segment, &sums, shape.kept,
                             (double)segment->images * shape.out_height * shape.out_width);
}

enum status depthwise_forward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) > 0)
            forward_segment(convolution, segment, slice->scratch);
        else if (convolution->norm)
            convolution->norm->row_count[segment->index] = 0;
    }
    return STATUS_OK;
}

/* What backward keeps in scratch for a segment. */
struct backward {
    struct widened input, dz; /* of one image: the view's pixels, d loss / d z */
    const real *zeros;        /* a row of input that does not exist */
    real *gradient_row;       /* d loss / d input view, one row */
    real *weight;             /* [tap][lanes], of the segment */
    struct channel_sums input_sums, bias_sums;
};

static struct backward take_backward(real *scratch, const struct depthwise_shape *shape) {
    struct backward taken;
    int input_pixels = depthwise_input_pixels(shape), taps = shape->kernel * shape->kernel;
    taken.input_sums = take_sums(&scratch, shape->kept);
    taken.bias_sums = take_sums(&scratch, shape->kept);
    taken.input = take_widened(&scratch, shape->height, depthwise_input_left(shape), shape->width,
                               input_pixels, shape->ld);
    taken.dz = take_widened(&scratch, shape->out_height, depthwise_output_left(shape),
                            shape->out_width, depthwise_output_pixels(shape), shape->ld);
    taken.zeros = take_widened(&scratch, 1, input_pixels, 0, input_pixels, shape->ld).data;
    taken.bias_sums.origin = taken.zeros;
    taken.gradient_row = take(&scratch, (size_t)depthwise_gradient_pixels(shape) * shape->ld);
    taken.weight = take(&scratch, (size_t)taps * shape->ld);
    memset(taken.weight, 0, (size_t)taps * shape->ld * sizeof(real));
    return taken;
}

static void load_input(const struct convolution *convolution, const struct segment *segment,
                       const struct depthwise_shape *shape, const real *z,
                       const struct widened *into) {
    const struct view *input = &convolution->input;
    struct norm_rows norm = norm_rows(input->norm, segment);
    int ld = tensor_ld(input->tensor, segment);
    for (int y = 0; y < shape->height; y++)
        panel_activate(widened_pixels(into, y), shape->ld, z + (size_t)y * shape->width * ld, ld,
                       shape->width, shape->kept, &norm, input->activation, NULL);
}

static void load_output_gradient(const struct convolution *convolution,
                                 const struct segment *segment, const struct depthwise_shape *shape,
                                 int image, const struct widened *into) {
    struct norm_rows norm = norm_rows(convolution->norm, segment);
    int ld_z = tensor_ld(&convolution->output, segment);
    int ld_dy = tensor_ld(convolution->output_gradient, segment);
    const real *z = tensor_image(&convolution->output, segment, image);
    const real *dy = tensor_image(convolution->output_gradient, segment, image);
    for (int y = 0; y < shape->out_height; y++) {
        size_t pixel = (size_t)y * shape->out_width;
        panel_gradient(widened_pixels(into, y), shape->ld, dy + pixel * ld_dy, ld_dy,
                       z + pixel * ld_z, ld_z, shape->out_width, shape->kept, &norm);
    }
}

/* The tap rows through which row y of the input reached the output. */
static struct depthwise_taps pairs_of_input_row(const struct convolution *convolution,
                                                const struct depthwise_shape *shape,
                                                const struct widened *dz, int y) {
    struct depthwise_taps pairs = {.ld_tap = round_up(convolution->output.channels, CHANNEL_ALIGN)};
    int padded = y + shape->kernel / 2;
    for (int ky = padded % shape->stride; ky < shape->kernel && ky <= padded; ky += shape->stride) {
        int row = (padded - ky) / shape->stride;
        if (row >= shape->out_height)
            continue;
        pairs.taps[pairs.count] = tap_row(convolution, shape, ky);
        pairs.row[pairs.count++] = dz->data + row * dz->row;
    }
    return pairs;
}

static void add_rows(real *into, int ld_into, const real *from, int ld_from, int rows, int kept) {
    for (int row = 0; row < rows; row++)
        for (int c = 0; c < kept; c++)
            into[(size_t)row * ld_into + c] += from[(size_t)row * ld_from + c];
}

/* d loss / d input view (one row) to where the view wants it. */
static void leave_gradient_row(const struct view *input, const struct segment *segment, int image,
                               int y, const struct backward *work,
                               const struct depthwise_shape *shape) {
    struct norm_rows norm = norm_rows(input->norm, segment);
    struct channel_sums sums = work->input_sums;
    int ld_z = tensor_ld(input->tensor, segment), ld_into = tensor_ld(input->gradient, segment);
    size_t pixel = (size_t)y * shape->width;
    const real *z = tensor_image(input->tensor, segment, image) + pixel * ld_z;
    real *into = tensor_image(input->gradient, segment, image) + pixel * ld_into;
    if (input->accumulate) {
        add_rows(into, ld_into, work->gradient_row, shape->ld, shape->width, shape->kept);
        return;
    }
    for (int x = 0; x < shape->width; x += PANEL_ROWS)
        panel_through_activation(into + (size_t)x * ld_into, ld_into,
                                 work->gradient_row + (size_t)x * shape->ld, shape->ld,
                                 z + (size_t)x * ld_z, ld_z, smaller(shape->width - x, PANEL_ROWS),
                                 shape->kept, &norm, input->activation, input->norm ? &sums : NULL);
}

static void backward_image(const struct convolution *convolution, const struct segment *segment,
                           const struct depthwise_shape *shape, const struct backward *work,
                           int image) {
    const struct view *input = &convolution->input;
    load_input(convolution, segment, shape, tensor_image(input->tensor, segment, image),
               &work->input);
    load_output_gradient(convolution, segment, shape, image, &work->dz);
    depthwise_weight_gradient(work->weight, shape, work->input.data, work->zeros, work->dz.data);
    if (convolution->bias) {
        struct channel_sums sums = work->bias_sums;
        for (int y = 0; y < shape->out_height; y++)
            panel_moments(widened_pixels(&work->dz, y), shape->ld, shape->out_width, shape->kept,
                          &sums);
    }
    if (input->gradient == NULL)
        return;
    for (int y = 0; y < shape->height; y++) {
        struct depthwise_taps pairs = pairs_of_input_row(convolution, shape, &work->dz, y);
        depthwise_row_input_gradient(work->gradient_row, shape, &pairs);
        leave_gradient_row(input, segment, image, y, work, shape);
    }
}

/* Sums of the segment to the gradients of the full weights. */
static void add_parameter_gradients(const struct convolution *convolution,
                                    const struct depthwise_shape *shape,
                                    const struct backward *work, real *gradient) {
    int full = convolution->kernel, margin = (full - shape->kernel) / 2;
    for (int c = 0; c < shape->kept; c++) {
        real *into = gradient + convolution->weight_offset + (size_t)c * full * full;
        for (int ky = 0; ky < shape->kernel; ky++)
            for (int kx = 0; kx < shape->kernel; kx++)
                into[(margin + ky) * full + margin + kx] +=
                    work->weight[(size_t)(ky * shape->kernel + kx) * shape->ld + c];
        if (convolution->bias)
            gradient[convolution->bias_offset + c] += (real)work->bias_sums.first[c];
    }
}

static void backward_segment(const struct convolution *convolution, const struct segment *segment,
                             const struct slice *slice) {
    struct depthwise_shape shape = shape_of(convolution, segment);
    struct backward work = take_backward(slice->scratch, &shape);
    for (int image = 0; image < segment->images; image++)
        backward_image(convolution, segment, &shape, &work, image);
    add_parameter_gradients(convolution, &shape, &work, slice->gradient);
    if (convolution->input.norm && convolution->input.gradient)
        partial_from_gradient_sums(convolution->input.norm, segment, &work.input_sums, shape.kept,
                                   (double)segment->images * shape.height * shape.width);
}

enum status depthwise_backward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) > 0)
            backward_segment(convolution, segment, slice);
        else if (convolution->input.norm)
            convolution->input.norm->row_count[segment->index] = 0;
    }
    return STATUS_OK;
}
