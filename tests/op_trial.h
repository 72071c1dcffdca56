/* A case of op_cases.h made real: tensors filled at random, wired into the operation, and run by
 * any backend. Two trials of the same case and seed hold the same values, so that a backend is
 * compared with the reference by comparing their buffers.
 */
#ifndef TAPER_OP_TRIAL_H
#define TAPER_OP_TRIAL_H

#include "op_cases.h"
#include "op_memory.h"

/* Group 0 is cut into two segments; the others are one each. */
enum { TRIAL_SEGMENTS = CASE_GROUPS + 1, TRIAL_TERMS = 8 };

struct op_trial {
    const struct op_case *test;
    const struct ops *ops;
    struct op_memory memory;
    struct segment segments[TRIAL_SEGMENTS];
    struct slice slice; /* all segments; may be changed between runs */
    int kept_gradient[CASE_GROUPS], kept_shortcut_gradient[CASE_GROUPS];
    int kept_output[CASE_GROUPS], kept_output_gradient[CASE_GROUPS];

    struct tensor input, input_gradient; /* of the view; combine: z */
    struct tensor gate;
    struct tensor shortcut, shortcut_gradient;
    struct tensor output, output_gradient; /* loss: gradient of the logits */
    struct batch_norm input_norm, output_norm;
    real *parameters;
    size_t parameter_count;

    union {
        struct convolution convolution;
        struct combine combine;
        struct squeeze_excite squeeze_excite;
        struct pool_mean pool_mean;
        struct loss loss;
        struct normalise_pictures normalise_pictures;
    };
    real *vectors[TRIAL_TERMS]; /* of the flat operations */
};

/* `spare` fills all that no result may depend on. The trial must not be moved. */
void op_trial_create(struct op_trial *trial, const struct op_case *test, const struct ops *ops,
                     unsigned seed, double spare);
void op_trial_release(struct op_trial *trial);

/* The operation on trial->slice. Backward after forward; a case of given statistics has none. */
void op_trial_forward(struct op_trial *trial);
void op_trial_backward(struct op_trial *trial);
int op_trial_has_backward(const struct op_case *test);

/* Copies all buffers from a trial of the same case. */
void op_trial_copy(struct op_trial *to, const struct op_trial *from);

struct op_difference {
    double share;       /* the largest |a - b| as a share of its limit; infinite where one is NaN */
    const char *buffer; /* where */
    size_t index;
    double a, b;
};

/* All that counts, in all buffers. Limit: 64 epsilon (|b| + root mean square of b's buffer): the
 * rounding error of a sum of n terms grows like the root of n, as the sum of terms of random sign
 * does; 64 is a margin of about ten. */
struct op_difference op_trial_compare(const struct op_trial *a, const struct op_trial *b);
/* The buffer of the first element that counts and has other bits, unless both trials hold their
 * spare value there (nobody wrote it); NULL: none. */
const char *op_trial_compare_bits(const struct op_trial *a, const struct op_trial *b);

/* Pixels of a segment, of all its images. */
static inline real *op_pixel(const struct tensor *tensor, const struct segment *segment,
                             int pixel) {
    return tensor_segment(tensor, segment) + (size_t)pixel * tensor_ld(tensor, segment);
}
static inline int op_pixels(const struct tensor *tensor, const struct segment *segment) {
    return segment->images * tensor->height * tensor->width;
}

#endif
