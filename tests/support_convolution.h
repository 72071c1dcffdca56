/* Trials of the product convolutions: a layer with all its tensors, filled at random, beside a
 * naive computation in double of everything that the layer's forward and backward define. */
#ifndef TAPER_SUPPORT_CONVOLUTION_H
#define TAPER_SUPPORT_CONVOLUTION_H

#include "ops.h"

enum { TRIAL_GROUPS = 4, TRIAL_IMAGES = 2 };

struct trial_shape {
    const char *name;
    int inputs, outputs, kernel, stride, height, width;
    int kept_inputs[TRIAL_GROUPS], kept_outputs[TRIAL_GROUPS], kernels[TRIAL_GROUPS];
    enum activation activation;
    int input_norm, gate, output_norm, bias;
    int shared;                    /* norms: one domain for all groups */
    int input_align, output_align; /* 0: CHANNEL_ALIGN */
    int accumulate;
    int no_gradient;    /* of the input */
    int wider_gradient; /* the gradient tensors keep this many channels more */
};

/* The layers that both types are tried on: odd widths, every kind of view, dense and pointwise. */
extern const struct trial_shape trial_shapes[];
extern const int trial_shape_count;

struct buffer {
    real *data;
    size_t count;
};

/* Group g is segment g, of TRIAL_IMAGES + g % 2 images. */
struct trial {
    const struct trial_shape *shape;
    struct convolution convolution;
    struct tensor input, input_gradient, output_gradient, gate;
    struct batch_norm input_norm, output_norm;
    int kept_input_gradient[TRIAL_GROUPS], kept_output_gradient[TRIAL_GROUPS];
    struct segment segments[TRIAL_GROUPS];
    struct slice slice;
    struct buffer parameters, gradient, scratch;
    real spare; /* what everything holds that no result may depend on */
    struct buffer buffers[40];
    int buffer_count;
};

/* The same shape and seed give the same values, whatever `spare` is. */
void trial_create(struct trial *trial, const struct trial_shape *shape, unsigned seed, real spare);
void trial_release(struct trial *trial);
void trial_forward(struct trial *trial); /* with prepare */
void trial_backward(struct trial *trial);

/* How many pixels a segment has at the input and the output. */
int trial_pixels(const struct tensor *tensor, const struct segment *segment);
real *trial_element(const struct tensor *tensor, const struct segment *segment, int pixel,
                    int channel);
real *trial_weight(const struct trial *trial, struct buffer vector, int output, int input, int tap);
real *trial_bias(const struct trial *trial, struct buffer vector, int output);

/* Asserts (cmocka) that what forward or backward wrote is what the naive computation gives, to
 * rounding, and that nothing else was written. */
void trial_check_forward(const struct trial *trial);
void trial_check_backward(const struct trial *trial, const struct trial *before);

#endif
