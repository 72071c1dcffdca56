/* The dense k x k convolution (the stem): each image is padded with zeros in scratch, the taps of
 * each output pixel are laid out as one row, and then it is the pointwise convolution's products.
 * Rows are [ky][kx][in], so that the taps of one ky are a single run of the padded image. */
#include "convolution.h"
#include "cpu.h"
#include "vector.h"

#include <string.h>

/* Sizes for one segment. */
struct shape {
    int inputs, outputs; /* kept */
    int kernel, depth;   /* kept; depth = kernel * kernel * inputs */
    int ld_depth;
    int run;               /* kernel * inputs */
    int stride;            /* elements from one output pixel's taps to the next one's */
    int ld_padded, height; /* of the padded image: row length in elements, rows */
    int pixels;            /* of an output image */
};

static struct shape shape_of(const struct convolution *convolution, const struct segment *segment) {
    const struct tensor *input = convolution->input.tensor, *output = &convolution->output;
    int inputs = tensor_kept(input, segment), kernel = convolution->kernels[segment->group];
    int depth = kernel * kernel * inputs, padding = 2 * (kernel / 2);
    return (struct shape){.inputs = inputs,
                          .outputs = tensor_kept(output, segment),
                          .kernel = kernel,
                          .depth = depth,
                          .ld_depth = round_up(depth, CHANNEL_ALIGN),
                          .run = kernel * inputs,
                          .stride = convolution->stride * inputs,
                          .ld_padded = (input->width + padding) * inputs,
                          .height = input->height + padding,
                          .pixels = output->height * output->width};
}

static size_t padded_size(const struct shape *shape) {
    return (size_t)shape->height * shape->ld_padded;
}

/* Where kept tap (ky, kx) lies in the full kernel: kept taps are its centre. */
static int full_tap(const struct convolution *convolution, const struct shape *shape, int ky,
                    int kx) {
    int border = (convolution->kernel - shape->kernel) / 2;
    return (border + ky) * convolution->kernel + border + kx;
}

/* Weights for the forward product: [ky][kx][in][out], outputs padded with 0. */
enum status dense_prepare(const struct convolution *convolution) {
    int inputs = convolution->input.tensor->channels, outputs = convolution->output.channels;
    int taps = convolution->kernel * convolution->kernel, ld = round_up(outputs, CHANNEL_ALIGN);
    for (int t = 0; t < taps; t++) {
        for (int i = 0; i < inputs; i++) {
            real *row = convolution->prepared + ((size_t)t * inputs + i) * ld;
            for (int o = 0; o < ld; o++)
                row[o] = o < outputs ? convolution->weight[((size_t)o * inputs + i) * taps + t] : 0;
        }
    }
    return STATUS_OK;
}

/* The kept rows of the prepared weights: in place if all are kept, else gathered in scratch. */
static struct rows kept_weights(const struct convolution *convolution, const struct shape *shape,
                                struct scratch *scratch) {
    int channels = convolution->input.tensor->channels;
    int ld = round_up(convolution->output.channels, CHANNEL_ALIGN);
    if (shape->kernel == convolution->kernel && shape->inputs == channels)
        return (struct rows){.at = convolution->prepared, .ld = ld};

    int ld_kept = round_up(shape->outputs, CHANNEL_ALIGN);
    real *kept = scratch_reals(scratch, (size_t)shape->depth * ld_kept), *to = kept;
    for (int t = 0; t < shape->kernel * shape->kernel; t++) {
        int tap = full_tap(convolution, shape, t / shape->kernel, t % shape->kernel);
        const real *from = convolution->prepared + (size_t)tap * channels * ld;
        for (int i = 0; i < shape->inputs; i++, from += ld, to += ld_kept)
            memcpy(to, from, (size_t)ld_kept * sizeof(real));
    }
    return (struct rows){.at = kept, .ld = ld_kept};
}

/* The same weights as the product for the input's gradient wants them: [out][ky][kx][in]. */
static real *kept_weights_by_output(const struct convolution *convolution,
                                    const struct shape *shape, struct scratch *scratch) {
    int channels = convolution->input.tensor->channels;
    int taps = convolution->kernel * convolution->kernel;
    real *kept = scratch_reals(scratch, (size_t)shape->outputs * shape->ld_depth);
    for (int o = 0; o < shape->outputs; o++) {
        const real *from = convolution->weight + (size_t)o * channels * taps;
        real *to = kept + (size_t)o * shape->ld_depth;
        for (int t = 0; t < shape->kernel * shape->kernel; t++) {
            int tap = full_tap(convolution, shape, t / shape->kernel, t % shape->kernel);
            for (int i = 0; i < shape->inputs; i++)
                *to++ = from[(size_t)i * taps + tap];
        }
    }
    return kept;
}

/* First element of the image's pixel (y, 0) in the padded image. */
static real *padded_row(const struct shape *shape, real *padded, int y) {
    int border = shape->kernel / 2;
    return padded + (size_t)(y + border) * shape->ld_padded + border * shape->inputs;
}

static void copy_pixels(real *to, int ld_to, const real *from, int ld_from, int count, int kept) {
    if (ld_to == kept && ld_from == kept) {
        memcpy(to, from, (size_t)count * kept * sizeof(real));
        return;
    }
    for (int r = 0; r < count; r++)
        memcpy(to + (size_t)r * ld_to, from + (size_t)r * ld_from, (size_t)kept * sizeof(real));
}

/* The image as the view shows it, channels packed, into the middle of the padded one. */
static void pad_image(const struct convolution *convolution, const struct segment *segment,
                      const struct shape *shape, int image, real *padded, real *room) {
    const struct view *view = &convolution->input;
    int height = view->tensor->height, width = view->tensor->width;
    for (int y = 0; y < height; y++) {
        real *to = padded_row(shape, padded, y);
        for (int x = 0, count; x < width; x += count) {
            count = width - x < PANEL_ROWS ? width - x : PANEL_ROWS;
            struct rows a = view_rows(view, segment, (image * height + y) * width + x, count, room);
            copy_pixels(to, shape->inputs, a.at, a.ld, count, shape->inputs);
            to += count * shape->inputs;
        }
    }
}

/* Where the taps of output pixel `pixel` start in the padded image. */
static size_t taps_at(const struct convolution *convolution, const struct shape *shape, int pixel) {
    int width = convolution->output.width;
    return (size_t)(pixel / width) * convolution->stride * shape->ld_padded +
           (size_t)(pixel % width) * shape->stride;
}

/* One row of taps per output pixel. Runs are copied in whole vectors; what that writes behind a run
 * is overwritten by the next one. */
static void lay_out_taps(const struct convolution *convolution, const struct shape *shape,
                         const real *padded, int first, int count, real *taps) {
    for (int r = 0; r < count; r++, taps += shape->ld_depth) {
        const real *from = padded + taps_at(convolution, shape, first + r);
        for (int ky = 0; ky < shape->kernel; ky++, from += shape->ld_padded) {
            real *to = taps + ky * shape->run;
            for (int e = 0; e < shape->run; e += LANES)
                vec_store(to + e, vec_load(from + e));
        }
    }
}

/* The way back: adds rows of gradients to the padded image of gradients. */
static void add_taps(const struct convolution *convolution, const struct shape *shape, real *padded,
                     int first, int count, const real *taps) {
    for (int r = 0; r < count; r++, taps += shape->ld_depth) {
        real *to = padded + taps_at(convolution, shape, first + r);
        for (int ky = 0; ky < shape->kernel; ky++, to += shape->ld_padded) {
            for (int e = 0; e < shape->run; e++)
                to[e] += taps[ky * shape->run + e];
        }
    }
}

/* The same panels of an image's output pixels everywhere. */
static int panel_count(const struct shape *shape, int first) {
    return shape->pixels - first < PANEL_ROWS ? shape->pixels - first : PANEL_ROWS;
}

static real *padded_images(const struct shape *shape, struct scratch *scratch) {
    real *padded = scratch_reals(scratch, padded_size(shape) + LANES);
    memset(padded, 0, padded_size(shape) * sizeof(real));
    return padded;
}

static real *rows_of_taps(const struct shape *shape, struct scratch *scratch) {
    return scratch_reals(scratch, (size_t)PANEL_ROWS * shape->ld_depth + LANES);
}

static void forward_segment(const struct convolution *convolution, const struct segment *segment,
                            struct scratch scratch) {
    struct shape shape = shape_of(convolution, segment);
    struct output output;
    output_begin(&output, convolution, segment, &scratch);
    struct rows weights = kept_weights(convolution, &shape, &scratch);
    real *padded = padded_images(&shape, &scratch), *taps = rows_of_taps(&shape, &scratch);
    real *input_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * view_ld(&convolution->input, segment));
    real *output_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * output_ld(convolution, segment));

    for (int image = 0; image < segment->images; image++) {
        pad_image(convolution, segment, &shape, image, padded, input_room);
        for (int first = 0, count; (count = panel_count(&shape, first)) > 0; first += count) {
            int pixel = image * shape.pixels + first;
            lay_out_taps(convolution, &shape, padded, first, count, taps);
            struct target z = output_target(&output, pixel, output_room);
            product(z.store, z.at, z.ld, taps, shape.ld_depth, weights.at, weights.ld, count,
                    shape.depth, shape.outputs);
            output_panel(&output, pixel, count, z.at, z.ld);
        }
    }
    output_end(&output);
}

enum status dense_forward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) == 0)
            output_absent(convolution, segment);
        else
            forward_segment(convolution, segment, (struct scratch){slice->scratch});
    }
    return STATUS_OK;
}

/* Exactly the kept weights: dropped ones get nothing. */
static void add_weight_gradient(const struct convolution *convolution, const struct slice *slice,
                                const struct shape *shape, const struct weight_sums *sums) {
    int channels = convolution->input.tensor->channels;
    int taps = convolution->kernel * convolution->kernel;
    for (int o = 0; o < shape->outputs; o++) {
        real *gradient = slice->gradient + convolution->weight_offset + (size_t)o * channels * taps;
        struct weight_row row = weight_sums_row(sums, o);
        for (int t = 0; t < shape->kernel * shape->kernel; t++) {
            int tap = full_tap(convolution, shape, t / shape->kernel, t % shape->kernel);
            for (int i = 0; i < shape->inputs; i++, row.at += row.stride)
                gradient[(size_t)i * taps + tap] += *row.at;
        }
    }
}

/* An image's gradient from the padded one back to the view's tensor. */
static void unpad_gradient(struct view_gradient *gradient, const struct shape *shape, int image,
                           real *padded, real *room) {
    const struct tensor *tensor = gradient->view->tensor;
    int ld = view_ld(gradient->view, gradient->segment);
    for (int y = 0; y < tensor->height; y++) {
        const real *from = padded_row(shape, padded, y);
        for (int x = 0, count; x < tensor->width; x += count) {
            count = tensor->width - x < PANEL_ROWS ? tensor->width - x : PANEL_ROWS;
            copy_pixels(room, ld, from, shape->inputs, count, shape->inputs);
            from += count * shape->inputs;
            view_gradient_panel(gradient, (image * tensor->height + y) * tensor->width + x, count,
                                room, ld);
        }
    }
}

/* What the gradient of the input needs beside that of the weights. */
struct input_gradient {
    struct view_gradient view;
    const real *weights; /* [out][ky][kx][in] */
    real *padded, *taps;
};

static void input_gradient_begin(struct input_gradient *gradient,
                                 const struct convolution *convolution,
                                 const struct segment *segment, const struct shape *shape,
                                 struct scratch *scratch) {
    view_gradient_begin(&gradient->view, &convolution->input, segment, scratch);
    gradient->weights = kept_weights_by_output(convolution, shape, scratch);
    gradient->padded = scratch_reals(scratch, padded_size(shape));
    gradient->taps = rows_of_taps(shape, scratch);
}

static void backward_segment(const struct convolution *convolution, const struct slice *slice,
                             const struct segment *segment) {
    struct scratch scratch = {slice->scratch};
    struct shape shape = shape_of(convolution, segment);
    struct weight_sums weights;
    weight_sums_begin(&weights, shape.depth, shape.outputs, &scratch);
    real *padded = padded_images(&shape, &scratch), *taps = rows_of_taps(&shape, &scratch);
    real *input_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * view_ld(&convolution->input, segment));
    real *output_room =
        scratch_reals(&scratch, (size_t)PANEL_ROWS * output_ld(convolution, segment));
    int to_input = convolution->input.gradient != NULL;
    struct input_gradient input;
    if (to_input)
        input_gradient_begin(&input, convolution, segment, &shape, &scratch);

    for (int image = 0; image < segment->images; image++) {
        pad_image(convolution, segment, &shape, image, padded, input_room);
        if (to_input)
            memset(input.padded, 0, padded_size(&shape) * sizeof(real));
        for (int first = 0, count; (count = panel_count(&shape, first)) > 0; first += count) {
            struct rows dz = output_gradient_rows(convolution, segment,
                                                  image * shape.pixels + first, count, output_room);
            lay_out_taps(convolution, &shape, padded, first, count, taps);
            weight_sums_panel(&weights, dz, (struct rows){.at = taps, .ld = shape.ld_depth}, count);
            bias_gradient_panel(convolution, slice, dz, count, shape.outputs);
            if (!to_input)
                continue;
            product(PRODUCT_SET, input.taps, shape.ld_depth, dz.at, dz.ld, input.weights,
                    shape.ld_depth, count, shape.outputs, shape.depth);
            add_taps(convolution, &shape, input.padded, first, count, input.taps);
        }
        if (to_input)
            unpad_gradient(&input.view, &shape, image, input.padded, input_room);
    }
    add_weight_gradient(convolution, slice, &shape, &weights);
    if (to_input)
        view_gradient_end(&input.view);
}

enum status dense_backward(const struct convolution *convolution, const struct slice *slice) {
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (tensor_kept(&convolution->output, segment) == 0)
            view_gradient_absent(&convolution->input, segment);
        else
            backward_segment(convolution, slice, segment);
    }
    return STATUS_OK;
}
