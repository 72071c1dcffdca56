/* Barriers, shuffles and votes. Every call knows its place in the source: threads that meet in
 * different places have diverged. */
#ifndef CUDA_ON_CPU_THREADS_MEET_H
#define CUDA_ON_CPU_THREADS_MEET_H

#include "cuda_on_cpu.h"

#define CUDA_ON_CPU_HERE std::source_location here = std::source_location::current()

inline void __syncthreads(CUDA_ON_CPU_HERE) {
    on_cpu::meet(on_cpu::meeting::barrier, 0, 0, 0, 0, here);
}
inline int __syncthreads_or(int predicate, CUDA_ON_CPU_HERE) {
    return (int)on_cpu::meet(on_cpu::meeting::barrier_or, 0, predicate != 0, 0, 0, here);
}
inline int __syncthreads_and(int predicate, CUDA_ON_CPU_HERE) {
    return (int)on_cpu::meet(on_cpu::meeting::barrier_and, 0, predicate != 0, 0, 0, here);
}
inline int __syncthreads_count(int predicate, CUDA_ON_CPU_HERE) {
    return (int)on_cpu::meet(on_cpu::meeting::barrier_count, 0, predicate != 0, 0, 0, here);
}

inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_ON_CPU_HERE) {
    on_cpu::meet(on_cpu::meeting::warp, mask, 0, 0, 32, here);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return (unsigned)on_cpu::meet(on_cpu::meeting::ballot, mask, predicate != 0, 0, 32, here);
}
inline int __any_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return __ballot_sync(mask, predicate, here) != 0;
}
inline int __all_sync(unsigned mask, int predicate, CUDA_ON_CPU_HERE) {
    return __ballot_sync(mask, !predicate, here) == 0;
}

namespace on_cpu {
template <class T>
T shuffle(meeting kind, unsigned mask, T value, int argument, int width, std::source_location at) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "what a shuffle can carry");
    uint64_t carried = 0;
    memcpy(&carried, &value, sizeof value);
    carried = meet(kind, mask, carried, argument, width, at);
    memcpy(&value, &carried, sizeof value);
    return value;
}
} // namespace on_cpu

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, CUDA_ON_CPU_HERE) {
    return on_cpu::shuffle(on_cpu::meeting::shuffle, mask, value, lane, width, here);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_CPU_HERE) {
    return on_cpu::shuffle(on_cpu::meeting::shuffle_up, mask, value, (int)delta, width, here);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_CPU_HERE) {
    return on_cpu::shuffle(on_cpu::meeting::shuffle_down, mask, value, (int)delta, width, here);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, CUDA_ON_CPU_HERE) {
    return on_cpu::shuffle(on_cpu::meeting::shuffle_xor, mask, value, lanes, width, here);
}

#endif
