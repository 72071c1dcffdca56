/* Device functions that the toolkit's headers do not define for a host compiler. */
#ifndef CUDA_ON_CPU_INTRINSICS_H
#define CUDA_ON_CPU_INTRINSICS_H

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __int_as_float(int bits) {
    return __uint_as_float((unsigned)bits);
}
inline int __float_as_int(float value) {
    return (int)__float_as_uint(value);
}

inline float __expf(float x) {
    return std::exp(x);
}
inline float __logf(float x) {
    return std::log(x);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __saturatef(float x) {
    return x > 0 ? x < 1 ? x : 1 : 0; /* NaN: 0 */
}
inline float rsqrtf(float x) {
    return 1.0f / std::sqrt(x);
}

inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}

template <class T> T min(T a, T b) {
    return b < a ? b : a;
}
template <class T> T max(T a, T b) {
    return a < b ? b : a;
}

template <class T> T __ldg(const T *address) {
    return *address;
}
template <class T> T __ldcs(const T *address) {
    return *address;
}
template <class T> T __ldcg(const T *address) {
    return *address;
}
template <class T> void __stcs(T *address, T value) {
    *address = value;
}
template <class T> void __stcg(T *address, T value) {
    *address = value;
}

inline void __threadfence() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

namespace on_cpu {
/* Replaces *address by change(*address) in one step; returns what was there. */
template <class T, class F> T replace(T *address, F change) {
    using bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
    static_assert(sizeof(T) == sizeof(bits), "32 or 64 bits");
    bits *at = reinterpret_cast<bits *>(address);
    bits before = __atomic_load_n(at, __ATOMIC_RELAXED), after;
    T old, wanted;
    do {
        memcpy(&old, &before, sizeof old);
        wanted = change(old);
        memcpy(&after, &wanted, sizeof after);
    } while (
        !__atomic_compare_exchange_n(at, &before, after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
} // namespace on_cpu

template <class T> T atomicAdd(T *address, T value) {
    return on_cpu::replace(address, [=](T old) { return old + value; });
}
template <class T> T atomicMax(T *address, T value) {
    return on_cpu::replace(address, [=](T old) { return old < value ? value : old; });
}
template <class T> T atomicMin(T *address, T value) {
    return on_cpu::replace(address, [=](T old) { return value < old ? value : old; });
}
template <class T> T atomicExch(T *address, T value) {
    return on_cpu::replace(address, [=](T) { return value; });
}
template <class T> T atomicCAS(T *address, T expected, T value) {
    return on_cpu::replace(address, [=](T old) { return old == expected ? value : old; });
}

#endif
