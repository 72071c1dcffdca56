/* Products of floats on tensor cores. With float tensors they lose nothing to speak of: an operand
 * is the sum of two TF32 numbers, and of their products all but the smallest, 2^-22 of the whole,
 * are added. With bf16 tensors the largest does, whose operands are finer than bf16. */
#ifndef TAPER_FLOAT_PRODUCT_CUH
#define TAPER_FLOAT_PRODUCT_CUH

#include "mma.cuh"

static __device__ __forceinline__ float to_tf32(float value) { /* to the nearest */
    return __uint_as_float((__float_as_uint(value) + 0x1000u) & 0xffffe000u);
}

template <int N> struct halves { float high[N], low[N]; };

template <int N>
static __device__ __forceinline__ struct halves<N> halves_of(const float (&value)[N]) {
    struct halves<N> halves;
#pragma unroll
    for (int i = 0; i < N; i++) {
        halves.high[i] = to_tf32(value[i]);
        halves.low[i] = to_tf32(value[i] - halves.high[i]);
    }
    return halves;
}

template <class T>
static __device__ __forceinline__ void add_product(sum_fragment &sum, const struct halves<4> &left,
                                                   const struct halves<2> &right) {
    if (sizeof(T) == sizeof(float)) {
        multiply_add_tf32(sum, left.low, right.high);
        multiply_add_tf32(sum, left.high, right.low);
    }
    multiply_add_tf32(sum, left.high, right.high);
}

/* Four neighbours in memory, of which `left` exist: the rest are zero. */
struct quad {
    float of[4];
};
static __device__ __forceinline__ struct quad load_quad(const float *from, int left, bool aligned) {
    struct quad quad = {};
    if (aligned && left >= 4) {
        float4 all = *reinterpret_cast<const float4 *>(from);
        quad.of[0] = all.x, quad.of[1] = all.y, quad.of[2] = all.z, quad.of[3] = all.w;
        return quad;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < left)
            quad.of[i] = from[i];
    return quad;
}
static __device__ __forceinline__ void store_quad(float *to, const struct quad &quad, int left,
                                                  bool aligned) {
    if (aligned && left >= 4) {
        *reinterpret_cast<float4 *>(to) =
            make_float4(quad.of[0], quad.of[1], quad.of[2], quad.of[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < left)
            to[i] = quad.of[i];
}
static __device__ __forceinline__ bool is_aligned(const float *at, int step) {
    return step % 4 == 0 && (size_t)at % sizeof(float4) == 0;
}

#endif
