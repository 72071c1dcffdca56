/* A depthwise convolution with all its buffers, for the tests: several segments that keep different
 * channels and kernels, everything that must not matter set to one value of choice. */
#ifndef TAPER_DEPTHWISE_CASE_H
#define TAPER_DEPTHWISE_CASE_H

#include "cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_SEGMENTS = 3, CASE_IMAGES = 4 };

struct depthwise_options {
    int channels, kernel, stride, height, width;
    int kept[CASE_SEGMENTS], kernels[CASE_SEGMENTS];
    enum activation activation;
    int norm;       /* batch-norms on the input view and on the output; else neither, and a bias */
    int accumulate; /* only without norm and activation */
};

struct depthwise_case {
    struct depthwise_options options;
    struct segment segments[CASE_SEGMENTS];
    struct tensor input, input_gradient, output_gradient;
    struct batch_norm input_norm, output_norm;
    struct convolution convolution;
    struct slice slice;
    int weights; /* elements of the weight and of its gradient; the bias follows */
};

/* In [-1, 1), repeatable. */
static inline real case_value(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return (real)(*state >> 8) / (1 << 23) - 1;
}

static inline real *case_buffer(size_t count, real fill) {
    size_t bytes = (count + READ_SLACK) * sizeof(real);
    real *buffer = aligned_alloc(64, (bytes + 63) / 64 * 64);
    for (size_t i = 0; i < count + READ_SLACK; i++)
        buffer[i] = fill;
    return buffer;
}

static inline size_t case_elements(const struct tensor *tensor) {
    return CASE_IMAGES * tensor->image_size;
}

/* Kept channels random, the rest `fill`. */
static inline struct tensor case_tensor(const struct depthwise_case *test, int height, int width,
                                        unsigned *state, real fill) {
    int channels = test->options.channels;
    size_t image = (size_t)height * width * round_up(channels, CHANNEL_ALIGN);
    struct tensor tensor = {.image_size = image,
                            .height = height,
                            .width = width,
                            .channels = channels,
                            .align = CHANNEL_ALIGN,
                            .kept = test->options.kept};
    tensor.data = case_buffer(CASE_IMAGES * image, fill);
    for (int s = 0; s < CASE_SEGMENTS; s++) {
        const struct segment *segment = &test->segments[s];
        real *pixel = tensor_segment(&tensor, segment);
        for (int i = 0; i < segment->images * height * width; i++)
            for (int c = 0; c < tensor_kept(&tensor, segment); c++)
                pixel[i * tensor_ld(&tensor, segment) + c] = case_value(state);
    }
    return tensor;
}

static inline real *case_rows(const struct depthwise_case *test, real base, real spread,
                              unsigned *state, real fill) {
    int stride = round_up(test->options.channels, CHANNEL_ALIGN);
    real *rows = case_buffer((size_t)CASE_SEGMENTS * stride, fill);
    for (int s = 0; s < CASE_SEGMENTS; s++)
        for (int c = 0; c < test->options.kept[s]; c++)
            rows[s * stride + c] = base + spread * case_value(state);
    return rows;
}

static inline struct batch_norm case_norm(const struct depthwise_case *test, unsigned *state,
                                          real fill) {
    int stride = round_up(test->options.channels, CHANNEL_ALIGN);
    return (struct batch_norm){.channels = test->options.channels,
                               .stride = stride,
                               .mode = NORM_PER_GROUP,
                               .mean = case_rows(test, 0, 1, state, fill),
                               .scale = case_rows(test, 2, 1, state, fill),
                               .shift = case_rows(test, 1, 2, state, fill),
                               .grad_y = case_rows(test, 1, 1, state, fill),
                               .grad_z = case_rows(test, 0, 1, state, fill),
                               .grad_one = case_rows(test, 0, 1, state, fill),
                               .partial = calloc(CASE_SEGMENTS * 2 * stride, sizeof(double)),
                               .row_count = calloc(CASE_SEGMENTS, sizeof(double))};
}

/* Weights that some segment uses are random, the rest `fill`. */
static inline real *case_weights(const struct depthwise_case *test, unsigned *state, real fill) {
    const struct depthwise_options *options = &test->options;
    int full = options->kernel;
    real *weights = case_buffer(test->weights + options->channels, fill);
    for (int c = 0; c < options->channels; c++)
        for (int ky = 0; ky < full; ky++)
            for (int kx = 0; kx < full; kx++) {
                real value = case_value(state);
                for (int s = 0; s < CASE_SEGMENTS; s++) {
                    int margin = (full - options->kernels[s]) / 2;
                    if (c < options->kept[s] && ky >= margin && ky < full - margin &&
                        kx >= margin && kx < full - margin)
                        weights[(c * full + ky) * full + kx] = value;
                }
            }
    for (int c = 0; c < options->kept[0]; c++) /* the widest */
        weights[test->weights + c] = case_value(state);
    return weights;
}

/* The caller passes the structure because parts of it point at each other. Segment 0 must keep the
 * most channels. */
static inline void case_create(struct depthwise_case *test, const struct depthwise_options *options,
                               real fill) {
    unsigned state = 12345;
    int out_height = (options->height - 1) / options->stride + 1;
    int out_width = (options->width - 1) / options->stride + 1;
    memset(test, 0, sizeof *test);
    test->options = *options;
    test->weights = options->channels * options->kernel * options->kernel;
    for (int s = 0, first = 0; s < CASE_SEGMENTS; s++) {
        int images = s == 0 ? CASE_IMAGES - CASE_SEGMENTS + 1 : 1;
        test->segments[s] =
            (struct segment){.index = s, .group = s, .first = first, .images = images};
        first += images;
    }
    test->input = case_tensor(test, options->height, options->width, &state, fill);
    test->input_gradient = case_tensor(test, options->height, options->width, &state, fill);
    test->output_gradient = case_tensor(test, out_height, out_width, &state, fill);
    test->input_norm = case_norm(test, &state, fill);
    test->output_norm = case_norm(test, &state, fill);
    real *weights = case_weights(test, &state, fill);
    test->convolution =
        (struct convolution){.input = {.tensor = &test->input,
                                       .norm = options->norm ? &test->input_norm : NULL,
                                       .activation = options->activation,
                                       .gradient = &test->input_gradient,
                                       .accumulate = options->accumulate},
                             .output = case_tensor(test, out_height, out_width, &state, fill),
                             .output_gradient = &test->output_gradient,
                             .norm = options->norm ? &test->output_norm : NULL,
                             .kernel = options->kernel,
                             .kernels = test->options.kernels,
                             .stride = options->stride,
                             .kind = CONVOLUTION_DEPTHWISE,
                             .weight = weights,
                             .bias = options->norm ? NULL : weights + test->weights,
                             .bias_offset = test->weights};
    struct convolution *convolution = &test->convolution;
    size_t prepared = convolution_prepared_size(convolution);
    size_t scratch = (convolution_scratch(convolution) + sizeof(real) - 1) / sizeof(real);
    convolution->prepared = case_buffer(prepared, fill);
    test->slice =
        (struct slice){.segments = test->segments,
                       .count = CASE_SEGMENTS,
                       .gradient = calloc(test->weights + options->channels, sizeof(real)),
                       .scratch = case_buffer(scratch, fill)};
}

static inline void case_release(struct depthwise_case *test) {
    struct batch_norm *norms[] = {&test->input_norm, &test->output_norm};
    for (int i = 0; i < 2; i++) {
        real *rows[] = {norms[i]->mean,   norms[i]->scale,  norms[i]->shift,
                        norms[i]->grad_y, norms[i]->grad_z, norms[i]->grad_one};
        for (int j = 0; j < 6; j++)
            free(rows[j]);
        free(norms[i]->partial);
        free(norms[i]->row_count);
    }
    free(test->input.data);
    free(test->input_gradient.data);
    free(test->output_gradient.data);
    free(test->convolution.output.data);
    free((void *)test->convolution.weight);
    free(test->convolution.prepared);
    free(test->slice.gradient);
    free(test->slice.scratch);
}

static inline real *case_pixel(const struct depthwise_case *test, const struct tensor *tensor,
                               int segment, int image, int y, int x) {
    const struct segment *of = &test->segments[segment];
    return tensor_image(tensor, of, image) +
           ((size_t)y * tensor->width + x) * tensor_ld(tensor, of);
}

#endif
