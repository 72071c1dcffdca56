/* Executes CUDA on the CPU, for tests: the .cu sources compiled by a C++ compiler, with the
 * toolkit's own headers, run here, one fiber for each CUDA thread, and what would be undefined on a
 * card is said aloud or seen by the sanitizers. This is what the kernels see of it; block.h and
 * runtime.h are inside.
 *
 *   fiber.cpp    a stack for each CUDA thread of a block
 *   block.cpp    the threads of a block take turns; barriers
 *   warp.cpp     shuffles and votes
 *   copies.cpp   asynchronous copies of a thread
 *   launch.cpp   checks of a launch; blocks one after the other
 *   memory.cpp   allocations, copies: which memory is whose
 *   stream.cpp   streams, events, graphs: in which order things are done
 *   device.cpp   what the device says about itself; errors; failures.cpp: those on demand
 *
 * Environment:
 *   CUDA_ON_CPU_STREAMS=late   work waits until something synchronises, as late as a card may do it
 *   CUDA_ON_CPU_FAIL_ALLOCATION=n   the n-th allocation (or stream, event, graph) fails
 *   CUDA_ON_CPU_SEED=n              blocks and threads begin in random order
 *   CUDA_ON_CPU_DEVICES=n           devices to be seen, default 1
 */
#ifndef CUDA_ON_CPU_H
#define CUDA_ON_CPU_H

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>

/* Under the thread sanitizer every block runs on a thread of its own, so that shared memory is new
 * for each. */
#ifdef CUDA_ON_CPU_RACES
#define CUDA_ON_CPU_LOCAL thread_local
#else
#define CUDA_ON_CPU_LOCAL
#endif

#undef __shared__
#undef __constant__
#undef __launch_bounds__
#define __shared__ static CUDA_ON_CPU_LOCAL
#define __constant__ static
#define __launch_bounds__(...)

#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
    on_cpu::launch(#kernel, (kernel), (grid), (block), (shared), (stream), __VA_ARGS__)
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(on_cpu::dynamic_shared())

namespace on_cpu {

struct place { /* of a thread in its block */
    uint3 index;
    unsigned lane, warp;
};

extern CUDA_ON_CPU_LOCAL place *current;
extern CUDA_ON_CPU_LOCAL uint3 current_block;
extern CUDA_ON_CPU_LOCAL dim3 block_size, grid_size;

void *dynamic_shared();

/* Where threads wait for each other. */
enum class meeting {
    none,
    barrier,
    barrier_or,
    barrier_and,
    barrier_count,
    warp, /* from here on: of the lanes in a mask */
    shuffle,
    shuffle_up,
    shuffle_down,
    shuffle_xor,
    ballot
};

/* Waits for the others; `at` tells two places of the source apart. */
uint64_t meet(meeting kind, unsigned mask, uint64_t value, int argument, int width,
              std::source_location at);

/* Asynchronous copies to shared memory, made as late as the thread's wait for them allows: until
 * only `pending` of the groups that it ended are left. */
void copy_late(void *shared, const void *global, size_t size);
void end_group_of_copies();
void wait_for_copies(size_t pending);

/* A launch as the runtime sees it. */
struct call {
    const char *name;
    const void *kernel;
    dim3 grid, block;
    size_t shared;
};
void check_argument(const char *kernel, int index, const void *pointer);
void launch_checked(const call &call, cudaStream_t stream, std::function<void()> thread);

template <class T> void check_any_argument(const char *kernel, int index, T *pointer) {
    check_argument(kernel, index, pointer);
}
template <class T> void check_any_argument(const char *, int, const T &) {
}

template <class... Parameters, class... Arguments>
void launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
            cudaStream_t stream, Arguments... arguments) {
    int index = 0;
    (check_any_argument(name, index++, static_cast<Parameters>(arguments)), ...);
    launch_checked({name, reinterpret_cast<const void *>(kernel), grid, block, shared}, stream,
                   [=] { kernel(static_cast<Parameters>(arguments)...); });
}

} // namespace on_cpu

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

#define threadIdx (on_cpu::current->index)
#define blockIdx (on_cpu::current_block)
#define blockDim (on_cpu::block_size)
#define gridDim (on_cpu::grid_size)
static const int warpSize = 32;

#include "intrinsics.h"
#include "threads_meet.h"

#endif
