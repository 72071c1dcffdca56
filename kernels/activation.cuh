/* The activations of ops.h and their slopes: factors that saturate at 0 and 1, which is one
 * instruction where clamping takes two. */
#ifndef TAPER_ACTIVATION_CUH
#define TAPER_ACTIVATION_CUH

#include "ops.h"

static __device__ __forceinline__ float activate(enum activation activation, float y) {
    switch (activation) {
    case ACTIVATION_RELU:
        return fmaxf(y, 0.0f);
    case ACTIVATION_RELU6:
        return fminf(fmaxf(y, 0.0f), 6.0f);
    case ACTIVATION_HARD_SWISH:
        return y * __saturatef(fmaf(y, 1.0f / 6.0f, 0.5f));
    case ACTIVATION_HARD_SIGMOID:
        return __saturatef(fmaf(y, 1.0f / 6.0f, 0.5f));
    default:
        return y;
    }
}

/* d activate / d y */
static __device__ __forceinline__ float activation_slope(enum activation activation, float y) {
    switch (activation) {
    case ACTIVATION_RELU:
        return y > 0.0f ? 1.0f : 0.0f;
    case ACTIVATION_RELU6:
        return y > 0.0f && y < 6.0f ? 1.0f : 0.0f;
    case ACTIVATION_HARD_SWISH: /* between its ends a parabola, beyond them 0 and 1 */
        return fabsf(y) < 3.0f ? fmaf(y, 1.0f / 3.0f, 0.5f) : __saturatef(y);
    case ACTIVATION_HARD_SIGMOID:
        return y > -3.0f && y < 3.0f ? 1.0f / 6.0f : 0.0f;
    default:
        return 1.0f;
    }
}

template <enum activation KIND> struct activation_constant {
    __device__ __forceinline__ constexpr operator enum activation() const { return KIND; }
};

/* Calls each(activation) with a constant: the switch is taken once for a loop over many elements.
 */
template <class Each>
static __device__ __forceinline__ void with_activation(enum activation activation, Each each) {
    switch (activation) {
    case ACTIVATION_RELU:
        return each(activation_constant<ACTIVATION_RELU>());
    case ACTIVATION_RELU6:
        return each(activation_constant<ACTIVATION_RELU6>());
    case ACTIVATION_HARD_SWISH:
        return each(activation_constant<ACTIVATION_HARD_SWISH>());
    case ACTIVATION_HARD_SIGMOID:
        return each(activation_constant<ACTIVATION_HARD_SIGMOID>());
    default:
        return each(activation_constant<ACTIVATION_NONE>());
    }
}

template <int N>
static __device__ __forceinline__ void activate_all(enum activation activation, float (&y)[N]) {
    with_activation(activation, [&](auto kind) {
#pragma unroll
        for (int n = 0; n < N; n++)
            y[n] = activate(kind, y[n]);
    });
}

template <int N, int M>
static __device__ __forceinline__ void activate_all(enum activation activation, float (&y)[N][M]) {
    with_activation(activation, [&](auto kind) {
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int m = 0; m < M; m++)
                y[n][m] = activate(kind, y[n][m]);
    });
}

/* da becomes da times d activate / d y. */
template <int N>
static __device__ __forceinline__ void through_all(enum activation activation, const float (&y)[N],
                                                   float (&da)[N]) {
    with_activation(activation, [&](auto kind) {
#pragma unroll
        for (int n = 0; n < N; n++)
            da[n] *= activation_slope(kind, y[n]);
    });
}

template <int N, int M>
static __device__ __forceinline__ void through_all(enum activation activation,
                                                   const float (&y)[N][M], float (&da)[N][M]) {
    with_activation(activation, [&](auto kind) {
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int m = 0; m < M; m++)
                da[n][m] *= activation_slope(kind, y[n][m]);
    });
}

#endif
