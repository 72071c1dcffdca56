/* A case of op_cases.h made real: tensors filled at random, wired into the operation, and run by
 * any backend. Two trials of the same case and seed hold the same values, each in its backend's
 * layout, so that a backend is compared with the reference by comparing their values. Activations
 * are numbers that a bf16 can hold, so that every backend starts from the same.
 */
#ifndef TAPER_OP_TRIAL_H
#define TAPER_OP_TRIAL_H

#include "op_cases.h"
#include "op_memory.h"

/* Group 0 is cut into two segments; the others are one each. */
enum { MOST_SEGMENTS = MOST_GROUPS + 1, TRIAL_TERMS = 8 };

/* How a backend wants its operands. */
struct op_layout {
    int align;
    enum element activation, partial;
    int parts; /* of a segment, each with its own partial sums */
};

struct op_trial {
    const struct op_case *test;
    const struct ops *ops;
    struct op_layout layout;
    unsigned seed;
    struct op_memory memory;
    int groups, segment_count, images;
    struct segment segments[MOST_SEGMENTS];
    const struct segment *device_segments; /* the same */
    struct slice slice;                    /* all segments; may be changed between runs */
    const int *inputs, *outputs, *kernels; /* [group] those of the case */

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
        struct update update;
    };
    real *vectors[TRIAL_TERMS]; /* of the flat operations */
};

/* `spare` fills all that no result may depend on. The trial must not be moved. */
void op_trial_create(struct op_trial *trial, const struct op_case *test, const struct ops *ops,
                     unsigned seed, double spare);
/* The same values, cut into the same parts, for another backend. */
void op_trial_create_like(struct op_trial *trial, const struct op_trial *like,
                          const struct ops *ops);
void op_trial_release(struct op_trial *trial);

/* The operation on trial->slice, finished. Backward after forward; a case of given statistics has
 * none. */
void op_trial_forward(struct op_trial *trial);
void op_trial_backward(struct op_trial *trial);
int op_trial_has_backward(const struct op_case *test);

/* Copies all values from a trial of the same case. */
void op_trial_copy(struct op_trial *to, const struct op_trial *from);

struct op_difference {
    double share;       /* the largest |a - b| as a share of its limit; infinite where one is NaN */
    const char *buffer; /* where */
    size_t index;
    double a, b;
};

/* All values of all buffers; partial sums after adding up the parts of a segment. The limit, with
 * size = root mean square of b's buffer, or of its part for the segment or group:
 *
 * float, double   64 epsilon (|b| + size). The rounding error of a sum of n terms grows like the
 *                 root of n, as the sum of terms of random sign does; 64 is a margin of about ten.
 * bf16            8 * 2^-8 (|b| + size). Both operands of a product are rounded, each by up to
 *                 2^-9 of itself and by half of that in the mean; the errors of a sum's terms are
 *                 independent, so that the sum is off by 0.8 * 2^-9 of its usual size, and by four
 *                 times that for the worst of ten thousand elements. Twice that where few terms are
 *                 far larger than the others, twice that where such results are operands again. */
struct op_difference op_trial_compare(const struct op_trial *a, const struct op_trial *b);
/* Both trials of one backend. The buffer of the first element that is worth something and has other
 * bits, unless both trials hold their spare value there (nobody wrote it); NULL: none. */
const char *op_trial_compare_bits(const struct op_trial *a, const struct op_trial *b);

/* Index of an element in the buffer of the tensor; pixels of a segment, of all its images. */
static inline size_t op_at(const struct tensor *tensor, const struct segment *segment, int pixel,
                           int channel) {
    return segment->first * tensor->image_size + (size_t)pixel * tensor_ld(tensor, segment) +
           channel;
}
static inline int op_pixels(const struct tensor *tensor, const struct segment *segment) {
    return segment->images * tensor->height * tensor->width;
}

/* Index of a partial sum; row_count has an entry per segment and part. */
static inline size_t op_partial(const struct batch_norm *norm, const struct segment *segment,
                                int part, int which, int channel) {
    return (((size_t)segment->index * norm->parts + part) * 2 + which) * norm->stride + channel;
}
static inline size_t op_row(const struct batch_norm *norm, const struct segment *segment,
                            int part) {
    return (size_t)segment->index * norm->parts + part;
}

#endif
