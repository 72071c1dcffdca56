#include "cuda.cuh"
#include "planted_bugs.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 64, FULL_MASK = -1 };

static void *device_memory(size_t size) {
    void *memory = NULL;
    if (cudaMalloc(&memory, size) != cudaSuccess)
        exit(1);
    cudaMemset(memory, 0, size);
    return memory;
}

static void expect(int is_right) {
    if (is_right)
        return;
    fputs("wrong result\n", stderr);
    exit(1);
}

/* Runs a kernel on one block with an integer per thread of memory. */
static void run(void (*kernel)(int *), int blocks, int threads, size_t shared) {
    int *memory = (int *)device_memory(THREADS * sizeof *memory);
    LAUNCH(kernel, blocks, threads, shared, 0, memory);
    cudaDeviceSynchronize();
    cudaFree(memory);
}

/* ------------------------------------------------------------------ threads of a block */

static __global__ void divergent_barrier(int *) {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}
static void run_divergent_barrier(void) {
    run(divergent_barrier, 1, THREADS, 0);
}

static __global__ void exit_before_barrier(int *) {
    if (threadIdx.x == 3)
        return;
    __syncthreads();
}
static void run_exit_before_barrier(void) {
    run(exit_before_barrier, 1, THREADS, 0);
}

static __global__ void shuffle_from_missing_lane(int *into) {
    into[threadIdx.x] = __shfl_sync((unsigned)FULL_MASK, (int)threadIdx.x, 20);
}
static void run_shuffle_from_missing_lane(void) {
    run(shuffle_from_missing_lane, 1, 16, 0);
}

static __global__ void lane_outside_of_mask(int *into) {
    into[threadIdx.x] = __shfl_sync(0xffffu, (int)threadIdx.x, 0);
}
static void run_lane_outside_of_mask(void) {
    run(lane_outside_of_mask, 1, THREADS, 0);
}

static __global__ void different_warp_operations(int *into) {
    if (threadIdx.x % 32 < 16)
        __syncwarp();
    else
        into[threadIdx.x] = __shfl_sync((unsigned)FULL_MASK, 1, 0);
}
static void run_different_warp_operations(void) {
    run(different_warp_operations, 1, THREADS, 0);
}

static __global__ void barrier_against_warp(int *) {
    if (threadIdx.x == 0)
        __syncthreads();
    else
        __syncwarp();
}
static void run_barrier_against_warp(void) {
    run(barrier_against_warp, 1, THREADS, 0);
}

/* Every thread reads what its neighbour in the other warp wrote. */
template <bool barrier> static __global__ void exchange(int *into) {
    __shared__ int values[THREADS];
    values[threadIdx.x] = (int)threadIdx.x;
    if (barrier)
        __syncthreads();
    into[threadIdx.x] = values[(threadIdx.x + 32) % THREADS];
}
static void run_missing_barrier(void) {
    run(exchange<false>, 1, THREADS, 0);
}
static void run_barrier(void) {
    run(exchange<true>, 1, THREADS, 0);
}

template <bool alone> static __global__ void count_blocks(int *into) {
    if (threadIdx.x == 0)
        into[alone ? blockIdx.x : 0]++;
}
static void run_blocks_share_an_address(void) {
    run(count_blocks<false>, 2, 32, 0);
}
static void run_blocks_alone(void) {
    run(count_blocks<true>, 2, 32, 0);
}

static __global__ void sum_of_warp(int *into) {
    int sum = (int)threadIdx.x;
    for (int lanes = 16; lanes > 0; lanes /= 2)
        sum += __shfl_xor_sync((unsigned)FULL_MASK, sum, lanes);
    into[threadIdx.x] = sum;
}
static void run_sum_of_warp(void) {
    int *memory = (int *)device_memory(THREADS * sizeof *memory), sums[THREADS];
    LAUNCH(sum_of_warp, 1, THREADS, 0, 0, memory);
    cudaMemcpy(sums, memory, sizeof sums, cudaMemcpyDeviceToHost);
    expect(sums[5] == 496 && sums[40] == 496 + 32 * 32);
    cudaFree(memory);
}

/* ------------------------------------------------------------------ memory */

static __global__ void write_behind_the_end(int *into) {
    into[threadIdx.x + 1] = 1;
}
static void run_write_behind_the_end(void) {
    run(write_behind_the_end, 1, THREADS, 0);
}

static __global__ void shared_array_overrun(int *into) {
    __shared__ int values[THREADS];
    values[threadIdx.x + (into[0] == 0)] = 1;
    into[threadIdx.x] = values[threadIdx.x];
}
static void run_shared_array_overrun(void) {
    run(shared_array_overrun, 1, THREADS, 0);
}

static __global__ void dynamic_shared_overrun(int *into) {
    DYNAMIC_SHARED(int, values);
    values[threadIdx.x + 4 * (into[0] == 0)] = 1;
}
static void run_dynamic_shared_overrun(void) {
    run(dynamic_shared_overrun, 1, THREADS, THREADS * sizeof(int));
}

static __global__ void misaligned_vector(int *into) {
    int4 four = *reinterpret_cast<int4 *>(into + 1);
    into[0] = four.x;
}
static void run_misaligned_vector(void) {
    run(misaligned_vector, 1, 1, 0);
}

static __global__ void fill(int *into) {
    into[threadIdx.x] = 7;
}
static void run_host_pointer_as_argument(void) {
    static int host[THREADS];
    LAUNCH(fill, 1, THREADS, 0, 0, host);
}

static void run_host_reads_device_memory(void) {
    volatile int *memory = (int *)device_memory(sizeof *memory);
    expect(memory[0] == 0);
}

static void run_copy_in_the_wrong_direction(void) {
    int *memory = (int *)device_memory(sizeof *memory), host = 1;
    cudaMemcpy(memory, &host, sizeof host, cudaMemcpyDeviceToHost);
}

static void run_copy_past_the_end(void) {
    int *memory = (int *)device_memory(sizeof *memory), host[2] = {0};
    cudaMemcpy(memory, host, sizeof host, cudaMemcpyHostToDevice);
}

/* Memory begins with NaN; so does shared memory. */
static __global__ void sum_what_nobody_set(float *into, float *from) {
    DYNAMIC_SHARED(float, shared);
    into[0] = from[0];
    into[1] = shared[0];
}
static void run_memory_begins_with_nan(void) {
    float *memory = NULL, host[2];
    cudaMalloc((void **)&memory, 4 * sizeof *memory);
    LAUNCH(sum_what_nobody_set, 1, 1, 16, 0, memory, memory + 2);
    cudaMemcpy(host, memory, sizeof host, cudaMemcpyDefault);
    expect(host[0] != host[0] && host[1] != host[1]);
    cudaFree(memory);
}

static void run_failing_allocation(void) {
    void *first = NULL, *second = NULL;
    expect(cudaMalloc(&first, 16) == cudaSuccess);
    expect(cudaMalloc(&second, 16) == cudaErrorMemoryAllocation && second == NULL);
    expect(cudaGetLastError() == cudaErrorMemoryAllocation);
    cudaFree(first);
}

/* ------------------------------------------------------------------ launches */

static void run_impossible_launches(void) {
    int *memory = (int *)device_memory(THREADS * sizeof *memory);
    LAUNCH(fill, 1, 2048, 0, 0, memory);
    expect(cudaGetLastError() == cudaErrorInvalidConfiguration);
    LAUNCH(fill, dim3(1, 1 << 17), 1, 0, 0, memory);
    expect(cudaGetLastError() == cudaErrorInvalidConfiguration);
    LAUNCH(fill, 1, 1, 64 << 10, 0, memory);
    expect(cudaGetLastError() == cudaErrorInvalidValue);
    cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10);
    LAUNCH(fill, 1, 1, 64 << 10, 0, memory);
    expect(cudaGetLastError() == cudaSuccess);
    cudaFree(memory);
}

/* ------------------------------------------------------------------ streams */

static __global__ void add_one(int *into, const int *from) {
    into[threadIdx.x] = from[threadIdx.x] + 1;
}

static void two_streams(int waits) {
    int *memory = (int *)device_memory(2 * THREADS * sizeof *memory), host[THREADS];
    cudaStream_t first, second;
    cudaEvent_t event;
    cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
    cudaEventCreate(&event);
    LAUNCH(fill, 1, THREADS, 0, first, memory);
    cudaEventRecord(event, first);
    if (waits)
        cudaStreamWaitEvent(second, event, 0);
    LAUNCH(add_one, 1, THREADS, 0, second, memory + THREADS, memory);
    cudaStreamSynchronize(second);
    cudaMemcpy(host, memory + THREADS, sizeof host, cudaMemcpyDeviceToHost);
    expect(host[3] == 8);
    cudaEventDestroy(event);
    cudaStreamDestroy(second);
    cudaStreamDestroy(first);
    cudaFree(memory);
}
static void run_missing_wait(void) {
    two_streams(0);
}
static void run_wait(void) {
    two_streams(1);
}

static void copy_back(int synchronises) {
    int *memory = (int *)device_memory(THREADS * sizeof *memory), *host = NULL;
    cudaStream_t stream;
    cudaMallocHost((void **)&host, THREADS * sizeof *host);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    LAUNCH(fill, 1, THREADS, 0, stream, memory);
    cudaMemcpyAsync(host, memory, THREADS * sizeof *host, cudaMemcpyDefault, stream);
    if (synchronises)
        cudaStreamSynchronize(stream);
    expect(host[3] == 7);
    cudaStreamDestroy(stream);
    cudaFreeHost(host);
    cudaFree(memory);
}
static void run_missing_synchronise(void) {
    copy_back(0);
}
static void run_synchronise(void) {
    copy_back(1);
}

/* ------------------------------------------------------------------ recordings */

static void run_replay(void) {
    int *memory = (int *)device_memory(2 * THREADS * sizeof *memory), host[THREADS];
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    LAUNCH(add_one, 1, THREADS, 0, stream, memory, memory);
    LAUNCH(add_one, 1, THREADS, 0, stream, memory, memory);
    expect(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    expect(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
    cudaGraphDestroy(graph);
    for (int i = 0; i < 3; i++)
        cudaGraphLaunch(executable, stream);
    cudaStreamSynchronize(stream);
    cudaMemcpy(host, memory, sizeof host, cudaMemcpyDeviceToHost);
    expect(host[3] == 6);
    cudaGraphExecDestroy(executable);
    cudaStreamDestroy(stream);
    cudaFree(memory);
}

static void run_synchronise_while_recording(void) {
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    expect(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
    expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    cudaStreamDestroy(stream);
}

#define CORRECT(name)                                                                              \
    { #name, NOBODY, "", run_##name }
#define BUG(name, finder, report)                                                                  \
    { #name, finder, report, run_##name }

const struct planted_bug planted_bugs[] = {
    BUG(divergent_barrier, ALWAYS, "threads meet in different barriers"),
    BUG(exit_before_barrier, ALWAYS, "threads have ended before a barrier"),
    BUG(shuffle_from_missing_lane, ALWAYS, "reads a lane that does not take part"),
    BUG(lane_outside_of_mask, ALWAYS, "whose mask leaves it out"),
    BUG(different_warp_operations, ALWAYS, "meet in different warp operations"),
    BUG(barrier_against_warp, ALWAYS, "deadlock"),
    BUG(host_pointer_as_argument, ALWAYS, "argument 0 is not memory of the device"),
    BUG(copy_in_the_wrong_direction, ALWAYS, "memory of the device, not of the host"),
    BUG(copy_past_the_end, ALWAYS, "runs past the end of an allocation"),
    BUG(write_behind_the_end, ADDRESS_SANITIZER, "write_behind_the_end"),
    BUG(shared_array_overrun, ADDRESS_SANITIZER, "out of bounds"),
    BUG(dynamic_shared_overrun, ADDRESS_SANITIZER, "heap-buffer-overflow"),
    BUG(misaligned_vector, ADDRESS_SANITIZER, "misaligned"),
    BUG(host_reads_device_memory, ADDRESS_SANITIZER, "use-after-poison"),
    BUG(missing_barrier, THREAD_SANITIZER, "data race"),
    BUG(blocks_share_an_address, THREAD_SANITIZER, "data race"),
    BUG(missing_wait, LATE_STREAMS, "wrong result"),
    BUG(missing_synchronise, LATE_STREAMS, "wrong result"),
    CORRECT(barrier),
    CORRECT(blocks_alone),
    CORRECT(sum_of_warp),
    CORRECT(memory_begins_with_nan),
    CORRECT(impossible_launches),
    CORRECT(wait),
    CORRECT(synchronise),
    CORRECT(replay),
    CORRECT(synchronise_while_recording),
    {"failing_allocation", NOBODY, "", run_failing_allocation},
};
const int planted_bug_count = sizeof planted_bugs / sizeof *planted_bugs;
