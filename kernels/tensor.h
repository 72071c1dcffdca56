/* What an operation works on: packed activations of groups, slices of a batch, views through a
 * batch-norm. Shapes and ownership of everything in kernels/ are stated here and in ops.h.
 *
 * A batch is cut into GROUPS: images that run the same sub-network. Images of a group are
 * consecutive. Kept channels are always the first ones (method: ordered dropout).
 */
#ifndef TAPER_TENSOR_H
#define TAPER_TENSOR_H

#include <stddef.h>

/* CUDA's kernels use the inline functions here as well. */
#ifdef __CUDACC__
#define TAPER_INLINE static inline __host__ __device__
#else
#define TAPER_INLINE static inline
#endif

/* The CPU sources compile for float (the product) and for double (tests). */
#ifdef TAPER_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* Rows of batch-norms are rounded up to this many elements, and on the CPU so are the leading
 * dimensions of activations (other backends: ops.align): every pixel starts on a vector. The spare
 * lanes hold anything, NaN included: no result depends on them. */
enum { CHANNEL_ALIGN = 16 };

/* Every buffer may be read (not written) up to this many elements behind its end. */
enum { READ_SLACK = 256 };

TAPER_INLINE int round_up(int value, int multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

/* Activations, NHWC, packed per segment (below): a segment starts at data + first * image_size,
 * whatever it keeps; inside, its images * height * width pixels follow each other without gaps,
 * each `leading dimension` elements long, which follows from the channels that its group keeps. A
 * narrow group is packed: it does not stride over dropped channels. */
struct tensor {
    real *data;        /* of the backend's activation type (ops.activation_size): only the backend
                          and the CPU's float and double take it at its word */
    size_t image_size; /* elements reserved per image */
    int height, width;
    int channels;    /* of the full network */
    int align;       /* ops.align, or 1 for the input pictures and the logits */
    const int *kept; /* [group] channels kept; 0: the layer is absent in that group */
};

/* A run of consecutive images of one group: the unit that operations loop over. */
struct segment {
    int index; /* of all segments of the batch: owns row `index` of every partial-sum buffer */
    int group;
    int first; /* image slot of the activation buffers; several parts of a batch may use the same
                  slots one after the other, so that they stay in the cache */
    int images;
    int picture; /* first image of the batch: of pictures, labels, weights, losses */
};

/* What one call works on. Calls on different slices may run at the same time: they write to
 * different images, different partial-sum rows and different gradients. */
struct slice {
    const struct segment *segments;
    const struct segment *device_segments; /* the same where kernels read them; CPU: not used */
    int count;
    real *gradient; /* accumulators of this slice, laid out as the parameters; NULL: no backward */
    void *scratch;  /* of this worker, scratch_size bytes, 64-byte aligned, anything in it */
};

TAPER_INLINE int tensor_kept(const struct tensor *tensor, const struct segment *segment) {
    return tensor->kept[segment->group];
}

TAPER_INLINE int tensor_ld(const struct tensor *tensor, const struct segment *segment) {
    return round_up(tensor->kept[segment->group], tensor->align);
}

/* First pixel of the segment's first image. */
TAPER_INLINE real *tensor_segment(const struct tensor *tensor, const struct segment *segment) {
    return tensor->data + (size_t)segment->first * tensor->image_size;
}

/* First pixel of one image of the segment (image counts within the segment). */
TAPER_INLINE real *tensor_image(const struct tensor *tensor, const struct segment *segment,
                                int image) {
    size_t pixels = (size_t)tensor->height * tensor->width;
    return tensor_segment(tensor, segment) + image * pixels * tensor_ld(tensor, segment);
}

enum activation {
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    ACTIVATION_RELU6,
    ACTIVATION_HARD_SWISH,  /* y clamp(y + 3, 0, 6) / 6 */
    ACTIVATION_HARD_SIGMOID /* clamp(y + 3, 0, 6) / 6 */
};

/* Batch normalisation of one raw tensor z:  y = scale z + shift,  scale = weight / sqrt(var + eps).
 *
 * Statistics belong to a DOMAIN: a group (per_group), or all images that keep the channel (shared),
 * or they are given from outside for every group (fixed: evaluation). Variance is biased. The
 * operation that writes z leaves per-segment partials; batch_norm_forward turns them into rows;
 * likewise backward. Rows are [domain][stride]; the first kept (or, shared, `channels`) entries are
 * valid. */
enum norm_mode { NORM_PER_GROUP, NORM_SHARED, NORM_FIXED };

struct batch_norm {
    int channels; /* full */
    int stride;   /* row length: channels rounded up to CHANNEL_ALIGN */
    enum norm_mode mode;
    real epsilon;
    const real *weight, *bias;         /* [channels], in the parameters */
    size_t weight_offset, bias_offset; /* of their gradients in slice.gradient */
    real *mean, *variance;             /* [domain][stride]; fixed: given */
    real *scale, *shift;               /* [domain][stride] forward:  y = scale z + shift */
    real *grad_y, *grad_z,
        *grad_one;     /* [domain][stride] backward: dz = grad_y dy + grad_z z + grad_one */
    int parts;         /* pieces that a segment's pixels are cut into, each with its own partial;
                          CPU: 1 */
    double *partial;   /* [segment][part][2][stride]
                          forward:  mean and sum of squared deviations of z
                          backward: sum dy and sum dy (z - mean)
                          Other backends: floats in the same place and order. Consumed by the next
                          batch_norm_* of this norm. */
    double *row_count; /* [segment][part] pixels behind the partial */
};

TAPER_INLINE int norm_domain(const struct batch_norm *norm, const struct segment *segment) {
    return norm->mode == NORM_SHARED ? 0 : segment->group;
}

/* A tensor as its consumer sees it:  a = activation(norm(z)) * gate.
 *
 * gradient is where the consumer's backward leaves d loss / d norm(z), that is, with the
 * activation's derivative applied (and its sums in norm->partial). With a gate it leaves d loss / d
 * a untouched and without sums: squeeze_excite_backward finishes. Without norm and activation it is
 * simply d loss / d z. gradient->kept may be larger than tensor's: its first channels count. */
struct view {
    const struct tensor *tensor;
    struct batch_norm *norm; /* NULL: identity */
    enum activation activation;
    const struct tensor *gate;     /* [image][1][1][kept] or NULL: squeeze-excite */
    const struct tensor *gradient; /* NULL: not needed (pictures) */
    int accumulate; /* backward adds to gradient instead of setting it; only for views
                       without norm, activation and gate */
};

#endif
