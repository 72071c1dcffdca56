/* Depthwise convolution: each channel with its own k x k taps; lanes of vectors are channels.
 *
 * Rows are normalised and activated once, into rings of `kernel` widened rows that stay in the
 * first cache level, however large the image: forward one of the input, backward one more of d loss
 * / dz.
 */
#include "convolution.h"
#include "cpu.h"
#include "depthwise_rows.h"

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
    struct depthwise_shape shape = {.kernel = convolution->kernels[segment->group],
                                    .stride = convolution->stride,
                                    .height = convolution->input.tensor->height,
                                    .width = convolution->input.tensor->width,
                                    .out_height = convolution->output.height,
                                    .out_width = convolution->output.width,
                                    .kept = kept,
                                    .ld = round_up(kept, CHANNEL_ALIGN)};
    depthwise_plan(&shape);
    return shape;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Rows of an image in scratch, each with zeros left and right of its pixels. */
struct widened {
    real *data;
    size_t row;  /* elements */
    size_t left; /* elements before the first pixel */
};

static struct widened take_widened(struct scratch *scratch, int rows, int left, int width,
                                   int pixels, int ld) {
    size_t row = (size_t)pixels * ld, first = (size_t)left * ld, end = first + (size_t)width * ld;
    struct widened taken = {.data = scratch_reals(scratch, rows * row), .row = row, .left = first};
    for (int y = 0; y < rows; y++) {
        memset(taken.data + y * row, 0, first * sizeof(real));
        memset(taken.data + y * row + end, 0, (row - end) * sizeof(real));
    }
    return taken;
}

static real *widened_pixels(const struct widened *widened, int row) {
    return widened->data + row * widened->row + widened->left;
}

/* Row y of an image of the input, as the view shows it. */
static void load_input_row(const struct view *input, const struct segment *segment, int image,
                           int y, const struct depthwise_shape *shape, real *into) {
    struct norm_rows norm = norm_rows(input->norm, segment);
    int ld = tensor_ld(input->tensor, segment);
    const real *z = tensor_image(input->tensor, segment, image) + (size_t)y * shape->width * ld;
    panel_activate(into, shape->ld, z, ld, shape->width, shape->kept, &norm, input->activation,
                   NULL);
}

/* Pairs tap row ky of the kept kernel, the centre of the full one, with a widened row. */
static void add_pair(struct depthwise_taps *pairs, const struct convolution *convolution,
                     const struct depthwise_shape *shape, int ky, const real *row) {
    int margin = (convolution->kernel - shape->kernel) / 2;
    size_t tap = (size_t)(margin + ky) * convolution->kernel + margin;
    pairs->ld_tap = round_up(convolution->output.channels, CHANNEL_ALIGN);
    pairs->taps[pairs->count] = convolution->prepared + tap * pairs->ld_tap;
    pairs->row[pairs->count++] = row;
}

static void forward_image(const struct convolution *convolution,
                          const struct depthwise_shape *shape, const struct widened *ring,
                          int image, struct output *output) {
    const struct segment *segment = output->segment;
    int ld = tensor_ld(&convolution->output, segment), next = 0;
    real *out = tensor_image(&convolution->output, segment, image);
    for (int y = 0; y < shape->out_height; y++) {
        int top = y * shape->stride - shape->kernel / 2;
        int first = top < 0 ? 0 : top, end = smaller(top + shape->kernel, shape->height);
        for (next = next < first ? first : next; next < end; next++)
            load_input_row(&convolution->input, segment, image, next, shape,
                           widened_pixels(ring, next % shape->kernel));
        struct depthwise_taps pairs = {0};
        for (int row = first; row < end; row++)
            add_pair(&pairs, convolution, shape, row - top,
                     ring->data + row % shape->kernel * ring->row);
        real *out_row = out + (size_t)y * shape->out_width * ld;
        depthwise_row_forward(out_row, ld, shape, &pairs);
        int pixel = (image * shape->out_height + y) * shape->out_width;
        for (int x = 0; x < shape->out_width; x += PANEL_ROWS)
            output_panel(output, pixel + x, smaller(shape->out_width - x, PANEL_ROWS),
                         out_row + (size_t)x * ld, ld);
    }
}

static void forward_segment(const struct convolution *convolution, const struct segment *segment,
                            struct scratch scratch) {
    struct depthwise_shape shape = shape_of(convolution, segment);
    struct widened ring = take_widened(&scratch, shape.kernel, shape.input_left, shape.width,
                                       shape.input_pixels, shape.ld);
    struct output output;
    output_begin(&output, convolution, segment, &scratch);
    for (int image = 0; image < segment->images; image++)
        forward_image(convolution, &shape, &ring, image, &output);
    output_end(&output);
}

enum status depthwise_forward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) > 0)
            forward_segment(convolution, segment, (struct scratch){slice->scratch});
        else
            output_absent(convolution, segment);
    }
    return STATUS_OK;
}

/* What backward keeps in scratch for a segment. */
struct backward {
    struct widened input, dz; /* rings: the view's rows, d loss / dz */
    real *row;                /* d loss / d input view, one row */
    real *image, *weight;     /* [tap][lanes]: sums of this image, of the segment */
    size_t weights;
};

static struct backward take_backward(struct scratch *scratch, const struct depthwise_shape *shape) {
    size_t weights = (size_t)shape->kernel * shape->kernel * shape->ld;
    struct backward taken = {.input = take_widened(scratch, shape->kernel, shape->input_left,
                                                   shape->width, shape->input_pixels, shape->ld),
                             .dz = take_widened(scratch, shape->kernel, shape->output_left,
                                                shape->out_width, shape->output_pixels, shape->ld),
                             .row = scratch_reals(scratch, (size_t)shape->width * shape->ld),
                             .image = scratch_reals(scratch, weights),
                             .weight = scratch_reals(scratch, weights),
                             .weights = weights};
    memset(taken.weight, 0, weights * sizeof(real));
    return taken;
}

/* dz of row y of an image; adds its sums to the bias's gradient. */
static void load_gradient_row(const struct convolution *convolution, const struct slice *slice,
                              const struct segment *segment, int image, int y,
                              const struct depthwise_shape *shape, real *into) {
    struct norm_rows norm = norm_rows(convolution->norm, segment);
    int ld_z = tensor_ld(&convolution->output, segment);
    int ld_dy = tensor_ld(convolution->output_gradient, segment);
    size_t pixel = (size_t)y * shape->out_width;
    panel_gradient(into, shape->ld,
                   tensor_image(convolution->output_gradient, segment, image) + pixel * ld_dy,
                   ld_dy, tensor_image(&convolution->output, segment, image) + pixel * ld_z, ld_z,
                   shape->out_width, shape->kept, &norm);
    bias_gradient_panel(convolution, slice, (struct rows){.at = into, .ld = shape->ld},
                        shape->out_width, shape->kept);
}

/* The tap rows through which row y of the input reached the output. */
static struct depthwise_taps pairs_of_input_row(const struct convolution *convolution,
                                                const struct depthwise_shape *shape,
                                                const struct widened *dz, int y) {
    struct depthwise_taps pairs = {0};
    int padded = y + shape->kernel / 2;
    for (int ky = padded % shape->stride; ky < shape->kernel && ky <= padded; ky += shape->stride) {
        int row = (padded - ky) / shape->stride;
        if (row < shape->out_height)
            add_pair(&pairs, convolution, shape, ky, dz->data + row % shape->kernel * dz->row);
    }
    return pairs;
}

static void input_gradient_row(const struct convolution *convolution,
                               const struct depthwise_shape *shape, const struct backward *work,
                               int image, int y, struct view_gradient *gradient) {
    int pixel = (image * shape->height + y) * shape->width;
    struct target target = view_gradient_target(gradient, pixel, work->row);
    real *row = target.store == PRODUCT_ADD ? work->row : target.at;
    struct depthwise_taps pairs = pairs_of_input_row(convolution, shape, &work->dz, y);
    depthwise_row_input_gradient(row, shape, &pairs);
    for (int x = 0; x < shape->width; x += PANEL_ROWS)
        view_gradient_panel(gradient, pixel + x, smaller(shape->width - x, PANEL_ROWS),
                            row + (size_t)x * shape->ld, shape->ld);
}

/* Row y of the output meets its rows of the input; then the rows of the input whose outputs have
 * all come get their gradient. gradient: NULL if the input needs none. */
static void backward_image(const struct convolution *convolution, const struct slice *slice,
                           const struct segment *segment, const struct depthwise_shape *shape,
                           const struct backward *work, int image, struct view_gradient *gradient) {
    int kernel = shape->kernel, padding = kernel / 2, loaded = 0, finished = 0;
    memset(work->image, 0, work->weights * sizeof(real));
    for (int y = 0; y < shape->out_height; y++) {
        int top = y * shape->stride - padding;
        int first = top < 0 ? 0 : top, end = smaller(top + kernel, shape->height);
        for (loaded = loaded < first ? first : loaded; loaded < end; loaded++)
            load_input_row(&convolution->input, segment, image, loaded, shape,
                           widened_pixels(&work->input, loaded % kernel));
        real *dz = widened_pixels(&work->dz, y % kernel);
        load_gradient_row(convolution, slice, segment, image, y, shape, dz);
        struct depthwise_inputs inputs = {0};
        for (int row = first; row < end; row++) {
            inputs.row[inputs.count] = work->input.data + row % kernel * work->input.row;
            inputs.tap_row[inputs.count++] = row - top;
        }
        depthwise_row_weight_gradient(work->image, shape, &inputs, dz);
        int complete = y + 1 == shape->out_height ? shape->height : top + shape->stride;
        for (; gradient != NULL && finished < complete; finished++)
            input_gradient_row(convolution, shape, work, image, finished, gradient);
    }
    /* Images are added up apart, which keeps the chains of roundings short. */
    for (size_t i = 0; i < work->weights; i++)
        work->weight[i] += work->image[i];
}

/* The segment's sums to the gradient of the full weight. */
static void add_weight_gradient(const struct convolution *convolution,
                                const struct depthwise_shape *shape, const real *sums,
                                real *gradient) {
    int full = convolution->kernel, kernel = shape->kernel, margin = (full - kernel) / 2;
    for (int c = 0; c < shape->kept; c++) {
        real *into = gradient + convolution->weight_offset + (size_t)c * full * full;
        for (int ky = 0; ky < kernel; ky++)
            for (int kx = 0; kx < kernel; kx++)
                into[(margin + ky) * full + margin + kx] +=
                    sums[(size_t)(ky * kernel + kx) * shape->ld + c];
    }
}

static void backward_segment(const struct convolution *convolution, const struct slice *slice,
                             const struct segment *segment) {
    const struct view *input = &convolution->input;
    struct scratch scratch = {slice->scratch};
    struct depthwise_shape shape = shape_of(convolution, segment);
    struct backward work = take_backward(&scratch, &shape);
    struct view_gradient gradient;
    if (input->gradient)
        view_gradient_begin(&gradient, input, segment, &scratch);
    for (int image = 0; image < segment->images; image++)
        backward_image(convolution, slice, segment, &shape, &work, image,
                       input->gradient ? &gradient : NULL);
    if (input->gradient)
        view_gradient_end(&gradient);
    add_weight_gradient(convolution, &shape, work.weight, slice->gradient);
}

enum status depthwise_backward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) > 0)
            backward_segment(convolution, slice, segment);
        else
            view_gradient_absent(&convolution->input, segment);
    }
    return STATUS_OK;
}
