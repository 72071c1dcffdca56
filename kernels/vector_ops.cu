/* Elementwise work on the flat vectors of parameters: each thread four neighbours, where the
 * vectors are aligned in one load. */
#include "cuda_ops.h"

constexpr int THREADS = 256, WIDTH = 4;
constexpr int TERMS = 64; /* that one launch adds */

/* The elements of one thread. */
struct span {
    size_t at;
    int count;  /* up to WIDTH */
    bool whole; /* WIDTH, and aligned */
};

static __device__ __forceinline__ struct span span_of(size_t count, int aligned) {
    struct span span = {((size_t)blockIdx.x * THREADS + threadIdx.x) * WIDTH, 0, false};
    if (span.at < count)
        span.count = count - span.at < WIDTH ? (int)(count - span.at) : WIDTH;
    span.whole = aligned && span.count == WIDTH;
    return span;
}

static __device__ __forceinline__ void load(float (&into)[WIDTH], const float *from,
                                            const struct span &span) {
    if (span.whole) {
        float4 all = *reinterpret_cast<const float4 *>(from + span.at);
        into[0] = all.x, into[1] = all.y, into[2] = all.z, into[3] = all.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < WIDTH; i++)
        into[i] = i < span.count ? from[span.at + i] : 0;
}

static __device__ __forceinline__ void store(float *to, const float (&from)[WIDTH],
                                             const struct span &span) {
    if (span.whole) {
        *reinterpret_cast<float4 *>(to + span.at) = make_float4(from[0], from[1], from[2], from[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < WIDTH; i++)
        if (i < span.count)
            to[span.at + i] = from[i];
}

static int is_aligned(const void *vector) {
    return vector == NULL || (uintptr_t)vector % (WIDTH * sizeof(float)) == 0;
}

static int blocks(size_t count) {
    return pieces(count, (size_t)THREADS * WIDTH);
}

struct terms {
    const float *of[TERMS];
    int count;
};

static __global__ void __launch_bounds__(THREADS)
    add_kernel(float *into, const struct terms terms, size_t count, int aligned) {
    struct span span = span_of(count, aligned);
    float sum[WIDTH], term[WIDTH];
    load(sum, terms.of[0], span);
#pragma unroll 4
    for (int i = 1; i < terms.count; i++) {
        load(term, terms.of[i], span);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            sum[k] += term[k];
    }
    store(into, sum, span);
}

/* More terms than one launch takes are added to what the last one has left. */
enum status cuda_add(real *into, const real *const *from, int terms, size_t count) {
    for (int done = 0; done < terms && count > 0;) {
        struct terms some = {};
        int aligned = is_aligned(into);
        if (done > 0)
            some.of[some.count++] = into;
        for (; done < terms && some.count < TERMS; done++) {
            aligned = aligned && is_aligned(from[done]);
            some.of[some.count++] = from[done];
        }
        LAUNCH(add_kernel, blocks(count), THREADS, 0, cuda_stream(), into, some, count, aligned);
    }
    return cuda_launched("add");
}

struct updating {
    struct update update;
    size_t count;
    float *weight;
    const float *gradient;
    float *velocity, *square;
    int aligned;
};

static __device__ __forceinline__ void sgd(const struct update &update, float g, float &w,
                                           float &v) {
    v = update.momentum * v + g;
    w -= update.rate * (update.nesterov ? g + update.momentum * v : v);
}

static __device__ __forceinline__ void rmsprop(const struct update &update, float g, float &w,
                                               float &v, float &q) {
    q = update.alpha * q + (1 - update.alpha) * g * g;
    v = update.momentum * v + g / (sqrtf(q) + update.epsilon);
    w -= update.rate * v;
}

template <bool SQUARES>
static __global__ void __launch_bounds__(THREADS) update_kernel(const struct updating u) {
    struct span span = span_of(u.count, u.aligned);
    float w[WIDTH], g[WIDTH], v[WIDTH], q[WIDTH];
    load(w, u.weight, span);
    load(g, u.gradient, span);
    load(v, u.velocity, span);
    if (SQUARES)
        load(q, u.square, span);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        if (i >= span.count)
            break;
        if (u.update.decays == NULL || u.update.decays[span.at + i])
            g[i] += u.update.decay * w[i];
        if (SQUARES)
            rmsprop(u.update, g[i], w[i], v[i], q[i]);
        else
            sgd(u.update, g[i], w[i], v[i]);
    }
    store(u.weight, w, span);
    store(u.velocity, v, span);
    if (SQUARES)
        store(u.square, q, span);
}

enum status cuda_update(const struct update *update, size_t count, real *weight,
                        const real *gradient, real *velocity, real *square) {
    struct updating all = {*update, count, weight, gradient, velocity, square, 0};
    all.aligned =
        is_aligned(weight) && is_aligned(gradient) && is_aligned(velocity) && is_aligned(square);
    if (count > 0 && update->kind == OPTIMISER_RMSPROP)
        LAUNCH(update_kernel<true>, blocks(count), THREADS, 0, cuda_stream(), all);
    else if (count > 0)
        LAUNCH(update_kernel<false>, blocks(count), THREADS, 0, cuda_stream(), all);
    return cuda_launched("update");
}

static __global__ void __launch_bounds__(THREADS)
    average_kernel(float *ema, const float *weight, float keep, size_t count, int aligned) {
    struct span span = span_of(count, aligned);
    float mean[WIDTH], now[WIDTH];
    load(mean, ema, span);
    load(now, weight, span);
#pragma unroll
    for (int i = 0; i < WIDTH; i++)
        mean[i] = keep * mean[i] + (1 - keep) * now[i];
    store(ema, mean, span);
}

enum status cuda_average(real *ema, const real *weight, real keep, size_t count) {
    int aligned = is_aligned(ema) && is_aligned(weight);
    if (count > 0)
        LAUNCH(average_kernel, blocks(count), THREADS, 0, cuda_stream(), ema, weight, keep, count,
               aligned);
    return cuda_launched("average");
}
