/* What the parts of the runtime interface tell each other. */
#ifndef CUDA_ON_CPU_RUNTIME_H
#define CUDA_ON_CPU_RUNTIME_H

#include "cuda_on_cpu.h"

namespace on_cpu {

/* Keeps the error for cudaGetLastError, and returns it. */
cudaError_t failed(cudaError_t error);
/* A misuse that a card might not notice; ends the program. */
[[noreturn]] void misuse(const char *what, const char *where, const void *pointer);

/* Counts something that takes memory and is about to be made: true when it is the one that must
 * fail. */
bool is_refused();
/* What was made (1) or given back (-1) that a program must give back. */
void count_alive(int change);

/* A number of the environment, or the default. */
long setting(const char *name, long otherwise);

/* Queued in the stream's order; device memory may be touched while it runs. */
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
bool is_capturing(cudaStream_t stream);
/* Any stream is: nothing may synchronise then. */
bool is_any_capturing();
void finish(cudaStream_t stream);
void finish_all();

/* Outside of kernels and copies device memory is closed to the host, for the address sanitizer.
 * These count. */
void open_memory();
void close_memory();

void run_grid(const call &call, const std::function<void()> &thread);

} // namespace on_cpu

#endif
