/* Vectors of the width that the compiler's target has (GCC and clang vector extensions): the same
 * source gives AVX-512, AVX2 or 128-bit code. Only the .c files here include it. */
#ifndef TAPER_VECTOR_H
#define TAPER_VECTOR_H

#include "tensor.h"
#include <stdint.h>

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum { LANES = VECTOR_BYTES / sizeof(real) };

/* Vectors that the registers hold: what a loop can keep at hand without going to memory. */
#if defined __AVX512F__ || defined __aarch64__
enum { REGISTERS = 32 };
#else
enum { REGISTERS = 16 };
#endif

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
/* The same at any address. */
typedef real vec_unaligned
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
#ifdef TAPER_DOUBLE
typedef int64_t vec_mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t vec_mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE vec vec_load(const real *at) {
    return *(const vec_unaligned *)at;
}
/* A value that is used several times: GCC would read it from memory at each use, and loads, not
 * multiply-adds, would be the limit. */
INLINE vec vec_load_once(const real *at) {
    vec value = vec_load(at);
#ifdef __x86_64__
    __asm__("" : "+v"(value));
#endif
    return value;
}
INLINE void vec_store(real *at, vec value) {
    *(vec_unaligned *)at = value;
}
INLINE vec vec_splat(real value) {
    return value - (vec){0};
}
/* value where mask, else 0: one masked move, whatever the dropped lanes hold. */
INLINE vec vec_where(vec_mask mask, vec value) {
    return (vec)((vec_mask)value & mask);
}
INLINE vec vec_select(vec_mask mask, vec yes, vec no) {
    return (vec)(((vec_mask)yes & mask) | ((vec_mask)no & ~mask));
}
INLINE vec vec_max(vec a, vec b) {
    return vec_select(a > b, a, b);
}
INLINE vec vec_min(vec a, vec b) {
    return vec_select(a < b, a, b);
}

/* Vectors that cover `channels`. */
INLINE int vec_count(int channels) {
    return (channels + LANES - 1) / LANES;
}

INLINE vec activate(enum activation activation, vec y) {
    vec six = vec_splat(6), zero = vec_splat(0);
    switch (activation) {
    case ACTIVATION_NONE:
        return y;
    case ACTIVATION_RELU:
        return vec_where(y > zero, y);
    case ACTIVATION_RELU6:
        return vec_min(vec_where(y > zero, y), six);
    case ACTIVATION_HARD_SWISH:
        return y * vec_min(vec_max(y + 3, zero), six) * vec_splat((real)1 / 6);
    case ACTIVATION_HARD_SIGMOID:
        return vec_min(vec_max(y + 3, zero), six) * vec_splat((real)1 / 6);
    }
    __builtin_unreachable();
}

/* da * activation'(y); 0 at the kinks of the clamps. */
INLINE vec activate_backward(enum activation activation, vec y, vec da) {
    vec zero = vec_splat(0), three = vec_splat(3);
    switch (activation) {
    case ACTIVATION_NONE:
        return da;
    case ACTIVATION_RELU:
        return vec_where(y > zero, da);
    case ACTIVATION_RELU6:
        return vec_where((y > zero) & (y < vec_splat(6)), da);
    case ACTIVATION_HARD_SWISH: {
        vec slope = (2 * y + 3) * vec_splat((real)1 / 6);
        return vec_where(y > -three, da * vec_select(y < three, slope, vec_splat(1)));
    }
    case ACTIVATION_HARD_SIGMOID:
        return vec_where((y > -three) & (y < three), da * vec_splat((real)1 / 6));
    }
    __builtin_unreachable();
}

/* A loop that is written once and compiled once per activation: in `statement`, A is the activation
 * as a constant, and the switch is outside of the loop, where it costs nothing. */
#define FOR_ACTIVATION(activation, statement)                                                      \
    switch (activation) {                                                                          \
    case ACTIVATION_NONE: {                                                                        \
        const enum activation A = ACTIVATION_NONE;                                                 \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_RELU: {                                                                        \
        const enum activation A = ACTIVATION_RELU;                                                 \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_RELU6: {                                                                       \
        const enum activation A = ACTIVATION_RELU6;                                                \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_HARD_SWISH: {                                                                  \
        const enum activation A = ACTIVATION_HARD_SWISH;                                           \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_HARD_SIGMOID: {                                                                \
        const enum activation A = ACTIVATION_HARD_SIGMOID;                                         \
        statement;                                                                                 \
    } break;                                                                                       \
    }

#endif
