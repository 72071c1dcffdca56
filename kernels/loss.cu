/* Softmax cross-entropy with label smoothing and an optional teacher: a block per image. Terms are
 * floats, their sums are added in a fixed order. */
#include "cuda_ops.h"

constexpr int THREADS = 256, WARPS = THREADS / WARP;

struct measuring {
    const struct segment *segments;
    struct tensor logits, gradient; /* gradient.data NULL: not wanted */
    struct loss loss;
};

/* The largest value and, of equals, the first index. */
struct best {
    float value;
    int index;
};

struct room {
    struct best best[WARPS];
    float sums[WARPS];
};

/* Over the block; all threads get it. */
static __device__ __forceinline__ float block_sum(struct room &room, float value) {
#pragma unroll
    for (int away = WARP / 2; away > 0; away /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, away);
    __syncthreads();
    if (threadIdx.x % WARP == 0)
        room.sums[threadIdx.x / WARP] = value;
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int i = 0; i < WARPS; i++)
        sum += room.sums[i];
    return sum;
}

static __device__ __forceinline__ struct best better(const struct best &a, const struct best &b) {
    return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

template <class T>
static __device__ __forceinline__ struct best best_of(struct room &room, const T *x, int classes) {
    struct best best = {-INFINITY, classes};
#pragma unroll 4
    for (int c = (int)threadIdx.x; c < classes; c += THREADS) {
        float value = to_float(x[c]);
        if (value > best.value || best.index == classes)
            best = {value, c};
    }
#pragma unroll
    for (int away = WARP / 2; away > 0; away /= 2)
        best = better(best, {__shfl_xor_sync(0xffffffffu, best.value, away),
                             __shfl_xor_sync(0xffffffffu, best.index, away)});
    __syncthreads();
    if (threadIdx.x % WARP == 0)
        room.best[threadIdx.x / WARP] = best;
    __syncthreads();
    best = room.best[0];
#pragma unroll
    for (int i = 1; i < WARPS; i++)
        best = better(best, room.best[i]);
    return best;
}

/* softmax(x / temperature)[c] = exp((x[c] - largest) / temperature - log_sum): no exponent is
 * positive, so that nothing overflows. */
struct softmax {
    float largest, rate /* 1 / temperature */, log_sum;
};

static __device__ __forceinline__ float log_probability(const struct softmax &softmax, float x) {
    return (x - softmax.largest) * softmax.rate - softmax.log_sum;
}

template <class T>
static __device__ __forceinline__ struct softmax
softmax_of(struct room &room, const T *x, int classes, float rate, float largest) {
    struct softmax softmax = {largest, rate, 0};
    float sum = 0;
#pragma unroll 4
    for (int c = (int)threadIdx.x; c < classes; c += THREADS)
        sum += expf(log_probability(softmax, to_float(x[c])));
    softmax.log_sum = logf(block_sum(room, sum));
    return softmax;
}

template <class T>
static __device__ void loss_of_image(struct room &room, const struct loss &loss, const T *logits,
                                     T *gradient, int classes, int picture) {
    int label = loss.labels[picture];
    float weight = loss.scale * (loss.weights ? loss.weights[picture] : 1.0f);
    struct best best = best_of(room, logits, classes);
    struct softmax softmax = softmax_of(room, logits, classes, 1.0f, best.value), teacher = {};
    const float *taught = NULL;
    float share = 0, total = 0;
    if (loss.teacher != NULL) {
        taught = loss.teacher + (size_t)picture * classes;
        share = loss.teacher_weight;
        teacher = softmax_of(room, taught, classes, 1.0f / loss.temperature,
                             best_of(room, taught, classes).value);
    }
    float of_all = (1 - share) * loss.smoothing / (float)classes;
    float of_label = (1 - share) * (1 - loss.smoothing);
#pragma unroll 4
    for (int c = (int)threadIdx.x; c < classes; c += THREADS) {
        float target = of_all + (c == label ? of_label : 0.0f);
        if (taught != NULL)
            target += share * expf(log_probability(teacher, taught[c]));
        float log_p = log_probability(softmax, to_float(logits[c]));
        total -= target * log_p;
        if (gradient != NULL)
            gradient[c] = from_float<T>(weight * (expf(log_p) - target));
    }
    total = block_sum(room, total);
    if (threadIdx.x == 0) {
        loss.losses[picture] = (double)total;
        loss.correct[picture] = best.index == label;
    }
}

template <class T>
static __global__ void __launch_bounds__(THREADS, 4) loss_kernel(const struct measuring all) {
    __shared__ struct room room;
    struct segment segment = all.segments[blockIdx.y];
    int image = (int)blockIdx.x;
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
        for (int c = (int)threadIdx.x; c < classes; c += THREADS)
            all.loss.rows[(size_t)picture * classes + c] = to_float(logits[c]);
    if (all.loss.labels != NULL)
        loss_of_image(room, all.loss, logits, gradient, classes, picture);
}

template <class T> enum status cuda_loss(const struct loss *loss, const struct slice *slice) {
    struct measuring all = {slice->device_segments, *loss->logits, {}, *loss};
    if (loss->gradient != NULL)
        all.gradient = *loss->gradient;
    dim3 grid(largest_segment(slice), slice->count);
    LAUNCH(loss_kernel<T>, grid, THREADS, 0, cuda_stream(), all);
    return cuda_launched("loss");
}

template enum status cuda_loss<float>(const struct loss *, const struct slice *);
template enum status cuda_loss<bf16>(const struct loss *, const struct slice *);
