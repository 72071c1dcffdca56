/* Softmax cross-entropy with label smoothing and an optional teacher: a warp per image, in
 * double, as there is little of it. */
#include "cuda_ops.h"

constexpr int WARPS = 4; /* of a block: so many images */

struct measuring {
    const struct segment *segments;
    struct tensor logits, gradient; /* gradient.data NULL: not wanted */
    struct loss loss;
};

/* Over the lanes of a warp; all lanes get it. */
static __device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int away = WARP / 2; away > 0; away /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, away);
    return value;
}

/* The largest value and, of equals, the first index. */
struct best {
    float value;
    int index;
};

template <class T>
static __device__ __forceinline__ struct best best_of(const T *x, int classes, int lane) {
    struct best best = {-INFINITY, classes};
    for (int c = lane; c < classes; c += WARP) {
        float value = to_float(x[c]);
        if (value > best.value || best.index == classes)
            best = {value, c};
    }
#pragma unroll
    for (int away = WARP / 2; away > 0; away /= 2) {
        float value = __shfl_xor_sync(0xffffffffu, best.value, away);
        int index = __shfl_xor_sync(0xffffffffu, best.index, away);
        if (value > best.value || (value == best.value && index < best.index))
            best = {value, index};
    }
    return best;
}

/* softmax(x / temperature)[c] = exp((x[c] - largest) / temperature - log_sum): no exponent is
 * positive, so that nothing overflows. */
struct softmax {
    double largest, rate /* 1 / temperature */, log_sum;
};

static __device__ __forceinline__ double log_probability(const struct softmax &softmax, float x) {
    return ((double)x - softmax.largest) * softmax.rate - softmax.log_sum;
}

template <class T>
static __device__ __forceinline__ struct softmax softmax_of(const T *x, int classes, double rate,
                                                            float largest, int lane) {
    struct softmax softmax = {(double)largest, rate, 0};
    double sum = 0;
    for (int c = lane; c < classes; c += WARP)
        sum += exp(log_probability(softmax, to_float(x[c])));
    softmax.log_sum = log(warp_sum(sum));
    return softmax;
}

template <class T>
static __device__ void loss_of_image(const struct loss &loss, const T *logits, T *gradient,
                                     int classes, int picture, int lane) {
    int label = loss.labels[picture];
    struct best best = best_of(logits, classes, lane);
    struct softmax softmax = softmax_of(logits, classes, 1.0, best.value, lane), teacher = {};
    const float *taught = NULL;
    double share = 0, smoothing = (double)loss.smoothing, total = 0;
    if (loss.teacher != NULL) {
        taught = loss.teacher + (size_t)picture * classes;
        share = (double)loss.teacher_weight;
        teacher = softmax_of(taught, classes, 1.0 / (double)loss.temperature,
                             best_of(taught, classes, lane).value, lane);
    }
    double weight = (double)loss.scale * (loss.weights ? (double)loss.weights[picture] : 1.0);
    for (int c = lane; c < classes; c += WARP) {
        double target = (1 - share) * (smoothing / classes + (c == label ? 1 - smoothing : 0.0));
        if (taught != NULL)
            target += share * exp(log_probability(teacher, taught[c]));
        double log_p = log_probability(softmax, to_float(logits[c]));
        total -= target * log_p;
        if (gradient != NULL)
            gradient[c] = from_float<T>((float)(weight * (exp(log_p) - target)));
    }
    total = warp_sum(total);
    if (lane == 0) {
        loss.losses[picture] = total;
        loss.correct[picture] = best.index == label;
    }
}

template <class T>
static __global__ void __launch_bounds__(WARPS *WARP, 4) loss_kernel(const struct measuring all) {
    struct segment segment = all.segments[blockIdx.y];
    int image = (int)(blockIdx.x * WARPS + threadIdx.x / WARP), lane = (int)threadIdx.x % WARP;
    if (image >= segment.images)
        return;
    int classes = all.logits.channels, picture = segment.picture + image;
    const T *logits =
        segment_data<T>(all.logits, segment) + (size_t)image * tensor_ld(&all.logits, &segment);
    T *gradient = NULL;
    if (all.gradient.data != NULL)
        gradient = segment_data<T>(all.gradient, segment) +
                   (size_t)image * tensor_ld(&all.gradient, &segment);
    if (all.loss.rows != NULL)
        for (int c = lane; c < classes; c += WARP)
            all.loss.rows[(size_t)picture * classes + c] = to_float(logits[c]);
    if (all.loss.labels != NULL)
        loss_of_image(all.loss, logits, gradient, classes, picture, lane);
}

template <class T> enum status cuda_loss(const struct loss *loss, const struct slice *slice) {
    struct measuring all = {slice->device_segments, *loss->logits, {}, *loss};
    if (loss->gradient != NULL)
        all.gradient = *loss->gradient;
    dim3 grid(pieces(largest_segment(slice), WARPS), slice->count);
    LAUNCH(loss_kernel<T>, grid, WARPS * WARP, 0, cuda_stream(), all);
    return cuda_launched("loss");
}

template enum status cuda_loss<float>(const struct loss *, const struct slice *);
template enum status cuda_loss<bf16>(const struct loss *, const struct slice *);
