/* What the CUDA sources share: launching, the two activation types, and how a kernel sees tensors,
 * views and partial sums. Contracts of the operations: ops.h.
 *
 * T is the type of every tensor's elements: float, or bf16 (then products take bf16 operands, too).
 * Arithmetic, statistics, parameters and gradients of parameters are float everywhere.
 *
 * GRIDS. What a batch looks like (kept channels, kernels, segments) is read from device memory, so
 * that a recorded launch serves every draw of widths: grids are sized for the full network and the
 * largest segment, and a block without work returns at once. Where an operation leaves partial sums
 * for a batch-norm, the segment is blockIdx.z and the part blockIdx.y; the channels are in x.
 * A part without pixels writes row_count 0 and nothing else.
 *
 * DETERMINISM. No floating-point atomics: sums over blocks go through memory and are added in a
 * fixed order by a second kernel.
 */
#ifndef TAPER_CUDA_CUH
#define TAPER_CUDA_CUH

#include "ops.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <string.h>

/* The CPU execution of CUDA (tests/) compiles these sources with a C++ compiler, which knows
 * neither <<<>>> nor extern __shared__. */
#ifdef TAPER_CUDA_ON_CPU
#include "cuda_on_cpu.h"
#else
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
    kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
#define DYNAMIC_SHARED(type, name)                                                                 \
    extern __shared__ __align__(16) unsigned char name##_bytes[];                                  \
    type *name = reinterpret_cast<type *>(name##_bytes)
#endif

#include "activation.cuh"

typedef __nv_bfloat16 bf16;

/* backend.cu: every operation is queued here. */
cudaStream_t cuda_stream(void);
/* STATUS_OK, or the error's sentence. */
enum status cuda_check(cudaError_t error, const char *what);
/* After a launch. */
static inline enum status cuda_launched(const char *kernel) {
    return cuda_check(cudaGetLastError(), kernel);
}

enum { WARP = 32, LANES = 8 /* elements that a thread loads at once */ };

/* ------------------------------------------------------------------ elements */

static __device__ __forceinline__ float to_float(float value) {
    return value;
}
static __device__ __forceinline__ float to_float(bf16 value) {
    return __bfloat162float(value);
}
template <class T> static __device__ __forceinline__ T from_float(float value);
template <> __device__ __forceinline__ float from_float<float>(float value) {
    return value;
}
template <> __device__ __forceinline__ bf16 from_float<bf16>(float value) {
    return __float2bfloat16_rn(value);
}
/* As the consumer will read it. */
template <class T> static __device__ __forceinline__ float rounded(float value) {
    return to_float(from_float<T>(value));
}

/* LANES elements at an address that is a multiple of LANES elements. */
static __device__ __forceinline__ void load8(float (&into)[LANES], const float *from) {
    const float4 *at = reinterpret_cast<const float4 *>(from);
    float4 low = at[0], high = at[1];
    into[0] = low.x, into[1] = low.y, into[2] = low.z, into[3] = low.w;
    into[4] = high.x, into[5] = high.y, into[6] = high.z, into[7] = high.w;
}
static __device__ __forceinline__ void load8(float (&into)[LANES], const bf16 *from) {
    uint4 raw = *reinterpret_cast<const uint4 *>(from);
    const unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) { /* a bf16 is the upper half of a float */
        into[2 * i] = __uint_as_float(words[i] << 16);
        into[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
}
static __device__ __forceinline__ void store8(float *to, const float (&from)[LANES]) {
    float4 *at = reinterpret_cast<float4 *>(to);
    at[0] = make_float4(from[0], from[1], from[2], from[3]);
    at[1] = make_float4(from[4], from[5], from[6], from[7]);
}
static __device__ __forceinline__ unsigned pack_bf16(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high); /* one instruction */
    unsigned bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
}
static __device__ __forceinline__ void store8(bf16 *to, const float (&from)[LANES]) {
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]),
                   pack_bf16(from[4], from[5]), pack_bf16(from[6], from[7]));
}

/* ------------------------------------------------------------------ what a kernel is given */

/* Tensors, segments and batch-norms are passed by value as they stand in tensor.h; their pointers
 * point to device memory. */
template <class T>
static __device__ __forceinline__ T *segment_data(const struct tensor &tensor,
                                                  const struct segment &segment) {
    return reinterpret_cast<T *>(tensor.data) + (size_t)segment.first * tensor.image_size;
}

/* A batch-norm's rows as a kernel reads them: y = scale z + shift. Without one, scale is NULL. */
struct norm_view {
    const float *scale, *shift, *mean;
    const float *grad_y, *grad_z, *grad_one;
    int stride, per_group;

    __device__ __forceinline__ size_t row(const struct segment &segment) const {
        return per_group ? (size_t)segment.group * stride : 0;
    }
};

static inline struct norm_view norm_view_of(const struct batch_norm *norm) {
    struct norm_view view = {};
    if (norm == NULL)
        return view;
    view.scale = norm->scale, view.shift = norm->shift, view.mean = norm->mean;
    view.grad_y = norm->grad_y, view.grad_z = norm->grad_z, view.grad_one = norm->grad_one;
    view.stride = norm->stride, view.per_group = norm->mode != NORM_SHARED;
    return view;
}

/* Where a kernel leaves the partial sums of a batch-norm; parts 0: it leaves none. */
struct partial_sums {
    float *sums;  /* [segment][part][2][stride] */
    float *count; /* [segment][part] */
    int stride, parts;

    __device__ __forceinline__ float *at(const struct segment &segment, int part, int which) const {
        return sums + (((size_t)segment.index * parts + part) * 2 + which) * stride;
    }
    __device__ __forceinline__ float *count_at(const struct segment &segment, int part) const {
        return count + (size_t)segment.index * parts + part;
    }
};

static inline struct partial_sums partial_sums_of(const struct batch_norm *norm) {
    struct partial_sums sums = {};
    if (norm == NULL || norm->mode == NORM_FIXED)
        return sums;
    sums.sums = (float *)norm->partial, sums.count = (float *)norm->row_count;
    sums.stride = norm->stride, sums.parts = norm->parts;
    return sums;
}

/* struct view by value: a = activation(norm(z)) * gate. */
struct device_view {
    struct tensor z;
    struct norm_view norm;
    enum activation activation;
    struct tensor gate; /* data NULL: none */
};

static inline struct device_view device_view_of(const struct view *view) {
    struct device_view device = {};
    device.z = *view->tensor;
    device.norm = norm_view_of(view->norm);
    device.activation = view->activation;
    if (view->gate != NULL)
        device.gate = *view->gate;
    return device;
}

/* Where the consumer's backward leaves the gradient of its view (tensor.h): through the activation,
 * with sums, or, behind a gate, as it is. tensor.data NULL: not wanted. */
struct view_gradient {
    struct tensor tensor;
    struct partial_sums sums; /* parts 0: none */
    int through;              /* multiply by the activation's slope at norm(z) */
    int accumulate;
};

static inline struct view_gradient view_gradient_of(const struct view *view) {
    struct view_gradient gradient = {};
    if (view->gradient == NULL)
        return gradient;
    gradient.tensor = *view->gradient;
    gradient.accumulate = view->accumulate;
    if (view->gate == NULL) {
        gradient.through = view->norm != NULL || view->activation != ACTIVATION_NONE;
        gradient.sums = partial_sums_of(view->norm);
    }
    return gradient;
}

static inline int largest_segment(const struct slice *slice) { /* images */
    int images = 0;
    for (int i = 0; i < slice->count; i++)
        if (slice->segments[i].images > images)
            images = slice->segments[i].images;
    return images;
}

static inline int pieces(size_t all, size_t piece) {
    return (int)((all + piece - 1) / piece);
}

/* [first, end) of piece `index` of `count` nearly equal contiguous pieces of all. */
static __device__ __forceinline__ int piece_begin(int all, int index, int count) {
    return (int)((long long)all * index / count);
}

#endif
