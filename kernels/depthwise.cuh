/* What the depthwise kernels share: pairs of channels, prepared weights. */
#ifndef TAPER_DEPTHWISE_CUH
#define TAPER_DEPTHWISE_CUH

#include "cuda_ops.h"

/* One or two neighbouring channels as they are loaded. */
template <class T, int CHANNELS> struct few;
template <> struct few<float, 1> { typedef float word; };
template <> struct few<float, 2> { typedef float2 word; };
template <> struct few<bf16, 1> { typedef unsigned short word; };
template <> struct few<bf16, 2> { typedef unsigned word; };

static __device__ __forceinline__ void widen(float (&into)[1], float word) {
    into[0] = word;
}
static __device__ __forceinline__ void widen(float (&into)[2], float2 word) {
    into[0] = word.x, into[1] = word.y;
}
static __device__ __forceinline__ void widen(float (&into)[1], unsigned short word) {
    into[0] = __uint_as_float((unsigned)word << 16);
}
static __device__ __forceinline__ void widen(float (&into)[2], unsigned word) {
    into[0] = __uint_as_float(word << 16), into[1] = __uint_as_float(word & 0xffff0000u);
}

static __device__ __forceinline__ void narrow(float *into, const float (&from)[1]) {
    *into = from[0];
}
static __device__ __forceinline__ void narrow(float2 *into, const float (&from)[2]) {
    *into = make_float2(from[0], from[1]);
}
static __device__ __forceinline__ void narrow(unsigned short *into, const float (&from)[1]) {
    *into = __bfloat16_as_ushort(__float2bfloat16_rn(from[0]));
}
static __device__ __forceinline__ void narrow(unsigned *into, const float (&from)[2]) {
    *into = pack_bf16(from[0], from[1]);
}

/* Prepared weights: [tap of the full kernel][channel lanes]. */
static inline __host__ __device__ int weight_ld(int channels) {
    return round_up(channels, LANES);
}

/* Tap (y, x) of a K x K body, as its place in the full kernel; -1: the group does not keep it. */
static __device__ __forceinline__ int full_tap(int y, int x, int body, int kept, int full) {
    int up = y - body / 2, right = x - body / 2;
    if (abs(up) > kept / 2 || abs(right) > kept / 2)
        return -1;
    return (full / 2 + up) * full + full / 2 + right;
}

#endif
