/* The contract of every operation, on one page: a table of function pointers that each backend
 * fills (CPU: this folder's .c files; CUDA: the .cu files beside them).
 *
 * Ownership: operations own nothing and allocate nothing; all pointers are the caller's (the
 * super-network's buffers), device memory of the backend. Threads: calls on different slices may
 * run concurrently, see tensor.h. Determinism: the result of a call depends on its arguments only,
 * never on who runs beside it; gradients are ADDED to slice->gradient in segment order.
 * Dropped channels (at or past the kept ones) are neither computed nor read, and their gradients
 * are left untouched (exactly zero if they were zero). Segments whose output keeps 0 channels are
 * skipped: their tensors, partials (row_count = 0), weights and gradients stay untouched.
 *
 * forward of an operation with `norm`: writes the raw output z, and into norm->partial the mean and
 * the sum of squared deviations per channel over the segment's pixels, unless norm->mode is fixed.
 * backward reads d loss / d norm(z) from output_gradient through norm->grad_*:
 *     dz = grad_y dy + grad_z z + grad_one          (norm)         dz = dy          (no norm)
 * and leaves the gradient of its input view as tensor.h says, adds the weights' gradient.
 */
#ifndef TAPER_OPS_H
#define TAPER_OPS_H

#include "support/status.h"
#include "tensor.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum convolution_kind { CONVOLUTION_DENSE, CONVOLUTION_POINTWISE, CONVOLUTION_DEPTHWISE };

/* What the three convolutions share. W is [out][in][k][k] (depthwise: [channels][1][k][k]): output
 * channels outermost, full leading dimensions; a sub-network is a prefix of it. */
struct convolution {
    enum convolution_kind kind;
    struct view input;
    struct tensor output;                 /* raw z; output.kept: filters kept */
    const struct tensor *output_gradient; /* dy; its kept is at least output.kept */
    struct batch_norm *norm;              /* of the output, or NULL */
    int kernel;                           /* of the full network: odd, at most 7 */
    const int *kernels;                   /* [group] kernel kept: the centre of the full one */
    int stride;                           /* padding is kernel / 2 on all sides */
    const real *weight;
    const real *bias; /* [out] or NULL; never together with norm */
    size_t weight_offset, bias_offset;
    real *prepared; /* convolution_prepared_size() elements, filled by prepare */
};

/* y = combine(z, x): normalise + activate + ordered-dropout cut + channel bypass + residual, one
 * read and one write (NetAdaptV2: channel-level bypass connections). With M = z.kept, C = x.kept,
 * T = bypass, output keeps Z = max(min(C, T), M) (or M without a shortcut):
 *     y[i] = a_i + (residual and i < C ? x[i] : 0)    i < M
 *     y[i] = x[i]                                      M <= i < min(C, T)
 * M = 0 (block absent): y is the first min(C, T) channels of x.
 * pool: x is twice as high and wide (rounded up); x[i] is the mean of the 2x2 pixels that exist.
 * backward: main.gradient = dy with the activation's derivative, and its sums into norm->partial
 * (main.gradient may be the same tensor as output_gradient: with no activation only the sums are
 * made); shortcut.gradient[i] = dy[i] where x[i] was used, else 0, SET for all C channels (added to
 * with shortcut.accumulate). */
struct combine {
    struct view main;     /* no gate */
    struct view shortcut; /* tensor NULL: none. No norm, activation or gate */
    int bypass;           /* T */
    int residual;
    int pool;
    struct tensor output;
    const struct tensor *output_gradient;
};

/* gate = hard_sigmoid(expand relu(reduce mean(a))), a = the input view (without gate), one per
 * image. reduce [S][C], expand [C][S], both with bias; S and C cut to prefixes.
 * backward: input.gradient holds d loss / d (a gate) on entry (from the consumer); on exit
 * d loss / d norm(z), with the sums in norm->partial; adds the four parameter gradients. */
struct squeeze_excite {
    struct view input;    /* gate NULL */
    struct tensor pooled; /* [image][1][1][C] mean of a */
    struct tensor hidden; /* [image][1][1][S] relu(reduce pooled + bias) */
    struct tensor gate;   /* [image][1][1][C] output */
    const real *reduce, *reduce_bias, *expand, *expand_bias;
    size_t reduce_offset, reduce_bias_offset, expand_offset, expand_bias_offset;
};

/* output[c] = mean over pixels of the input view. */
struct pool_mean {
    struct view input;
    struct tensor output; /* [image][1][1][kept] */
    const struct tensor *output_gradient;
};

/* Softmax cross-entropy with label smoothing; d loss / d logits where gradient is set.
 *   target = (1 - teacher_weight) ((1 - smoothing) onehot + smoothing / classes)
 *            + teacher_weight softmax(teacher / temperature)
 *   loss_i = - sum target log softmax(logits);   gradient_i = scale weight_i (softmax - target)
 * `losses` are not scaled or weighted. correct[i] = 1 if the label is the (first) largest logit. */
struct loss {
    const struct tensor *logits;   /* [image][1][1][classes] */
    const struct tensor *gradient; /* or NULL */
    const int *labels;             /* [image of the batch], as all below */
    const real *weights;           /* [image] or NULL for 1 */
    const real *teacher;           /* [image][classes] logits, or NULL */
    real smoothing, teacher_weight, temperature, scale;
    double *losses; /* [image] */
    uint8_t *correct;
    real *rows; /* [image][classes]: the logits themselves, or NULL; all else only with labels */
};

/* pictures uint8 NHWC -> input tensor: (value / 255 - mean[c]) / deviation[c]. */
struct normalise_pictures {
    const uint8_t *pictures; /* [image of the batch][height][width][channels] */
    struct tensor output;    /* align 1 */
    const real *mean, *deviation;
};

/* Elementwise over a range [0, count) of the flat parameters.
 *   sgd:      v = momentum v + g + decay w;  w -= rate (nesterov ? g + decay w + momentum v : v)
 *   rmsprop:  q = alpha q + (1 - alpha) g^2, g including decay w;
 *             v = momentum v + g / (sqrt(q) + epsilon);  w -= rate v
 *   average:  ema = keep ema + (1 - keep) w */
enum optimiser { OPTIMISER_SGD, OPTIMISER_RMSPROP };
struct update {
    enum optimiser kind;
    real rate, momentum, decay, alpha, epsilon;
    int nesterov;
    const uint8_t *decays; /* [element] whether decay acts on it; NULL: on all */
};

/* Where operands live, and how they get there. Everything is done in the order of the calls,
 * operations included; on a device it may be done later: finish() waits. Any pointer of the host or
 * the device may be copied from or to; what the host reads after a copy needs a finish() before. */
struct recording;
struct memory {
    bool separate; /* the host must not touch operands: copies are needed */
    /* Zeroed; pointer: to a pointer, which is NULL after a failure, as allocate() has it. */
    enum status (*take)(void *pointer, size_t bytes, const char *what);
    void (*give_back)(void *memory); /* NULL is fine */
    /* Both sides may touch it, the device slowly; copies from and to it do not hold up the host. */
    enum status (*take_shared)(void *pointer, size_t bytes, const char *what);
    void (*give_back_shared)(void *memory);
    enum status (*copy)(void *to, const void *from, size_t bytes);
    enum status (*clear)(void *memory, size_t bytes);
    enum status (*finish)(void);

    /* Operations and copies between begin and end are not done but kept, to be done again and again
     * at the cost of one call. What they read from memory may change between two replays; pointers,
     * counts and other arguments may not. NULL: the backend cannot. */
    enum status (*record_begin)(void);
    enum status (*record_end)(struct recording **recording);
    enum status (*replay)(struct recording *recording);
    void (*recording_release)(struct recording *recording); /* NULL is fine */
};

struct ops {
    const char *name; /* "cpu", "cuda", "cuda-bf16" */
    const struct memory *memory;
    size_t activation_size; /* bytes of an element of any tensor; everything else is real */
    int align;              /* of leading dimensions: CHANNEL_ALIGN on the CPU */
    int blocks; /* pieces of a batch that keep the device busy: norms have blocks / groups parts (at
                   least one). CPU: 1 */
    size_t scratch; /* bytes that any operation without a size function needs at most */

    /* Elements of `prepared`, and bytes of scratch, that the convolution needs at full width with
     * any number of images. */
    size_t (*convolution_prepared_size)(const struct convolution *);
    size_t (*convolution_scratch)(const struct convolution *);

    /* Lays out the weights of `count` convolutions as their products read them: once after the
     * weights changed, before any forward or backward. */
    enum status (*prepare)(const struct convolution *const *convolutions, int count);

    /* Dense kxk (the stem), pointwise 1x1 (also the classifier: height = width = 1, bias), and
     * depthwise. */
    enum status (*dense_forward)(const struct convolution *, const struct slice *);
    enum status (*dense_backward)(const struct convolution *, const struct slice *);
    enum status (*pointwise_forward)(const struct convolution *, const struct slice *);
    enum status (*pointwise_backward)(const struct convolution *, const struct slice *);
    enum status (*depthwise_forward)(const struct convolution *, const struct slice *);
    enum status (*depthwise_backward)(const struct convolution *, const struct slice *);

    /* Partials of the slice's segments -> mean, variance, scale, shift of their domains. The slice
     * must hold all segments of each domain that it touches. Fixed: scale and shift from the given
     * mean and variance. backward: grad_* rows, and adds the gradients of weight and bias. */
    enum status (*batch_norm_forward)(const struct batch_norm *, const struct tensor *z,
                                      const struct slice *);
    enum status (*batch_norm_backward)(const struct batch_norm *, const struct tensor *z,
                                       const struct slice *);

    enum status (*combine_forward)(const struct combine *, const struct slice *);
    enum status (*combine_backward)(const struct combine *, const struct slice *);
    enum status (*squeeze_excite_forward)(const struct squeeze_excite *, const struct slice *);
    enum status (*squeeze_excite_backward)(const struct squeeze_excite *, const struct slice *);
    enum status (*pool_mean_forward)(const struct pool_mean *, const struct slice *);
    enum status (*pool_mean_backward)(const struct pool_mean *, const struct slice *);
    enum status (*loss_forward_backward)(const struct loss *, const struct slice *);
    enum status (*normalise_pictures)(const struct normalise_pictures *, const struct slice *);

    /* Flat vectors. add: into[i] = ((from[0][i] + from[1][i]) + ...) in that order. */
    enum status (*add)(real *into, const real *const *from, int terms, size_t count);
    enum status (*update)(const struct update *, size_t count, real *weight, const real *gradient,
                          real *velocity, real *square);
    enum status (*average)(real *ema, const real *weight, real keep, size_t count);
};

const struct ops *ops_cpu(void); /* never fails */

/* The one symbol of a backend that is loaded at run time (host/supernet/backend.h): fills the table
 * of the wanted precision, or says why it cannot. */
enum { BACKEND_VERSION = 2 };
enum precision { PRECISION_FP32, PRECISION_BF16 };
typedef enum status backend_open_function(int version, enum precision precision,
                                          const struct ops **ops);
#define BACKEND_SYMBOL "taper_backend_open"

/* A second symbol, which it may lack: what it sees of driver and devices, for `taper doctor`, a
 * line each. That there are none is no failure. */
typedef enum status backend_report_function(char *text, size_t size);
#define BACKEND_REPORT_SYMBOL "taper_backend_report"

#ifdef __cplusplus
}
#endif

#endif
