/* The CUDA backend: its memory, its stream, recordings, and the tables of operations of the two
 * precisions. One device, one stream, used from one thread. */
#include "cuda_ops.h"

#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static cudaStream_t stream;

cudaStream_t cuda_stream(void) {
    return stream;
}

enum status cuda_check(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return STATUS_OK;
    cudaGetLastError(); /* it is not the next launch's */
    return fail(STATUS_FAILED, "CUDA: %s: %s", what, cudaGetErrorString(error));
}

/* ------------------------------------------------------------------ memory */

static enum status taken(cudaError_t error, const char *kind, size_t bytes, const char *what) {
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError(); /* it is not the next call's */
        return fail(STATUS_FAILED, "no %s memory for %s (%.2f GB); use smaller batches", kind, what,
                    1e-9 * (double)bytes);
    }
    return cuda_check(error, what);
}

static enum status memory_clear(void *memory, size_t bytes) {
    return cuda_check(cudaMemsetAsync(memory, 0, bytes, stream), "clearing memory");
}

static void memory_give_back(void *memory) {
    cudaFree(memory);
}

/* Whatever type the caller's pointer has. */
static void set_pointer(void *pointer, void *memory) {
    memcpy(pointer, &memory, sizeof memory);
}

static enum status memory_take(void *pointer, size_t bytes, const char *what) {
    void *memory = NULL;
    set_pointer(pointer, NULL);
    TRY(taken(cudaMalloc(&memory, bytes > 0 ? bytes : 1), "device", bytes, what));
    enum status status = memory_clear(memory, bytes);
    if (status == STATUS_OK)
        set_pointer(pointer, memory);
    else
        memory_give_back(memory);
    return status;
}

static enum status memory_take_shared(void *pointer, size_t bytes, const char *what) {
    void *memory = NULL;
    set_pointer(pointer, NULL);
    TRY(taken(cudaMallocHost(&memory, bytes > 0 ? bytes : 1), "page-locked", bytes, what));
    memset(memory, 0, bytes);
    set_pointer(pointer, memory);
    return STATUS_OK;
}

static void memory_give_back_shared(void *memory) {
    cudaFreeHost(memory);
}

static enum status memory_copy(void *to, const void *from, size_t bytes) {
    return cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "copying");
}

static enum status memory_finish(void) {
    return cuda_check(cudaStreamSynchronize(stream), "waiting for the device");
}

/* ------------------------------------------------------------------ recordings */

struct recording {
    cudaGraphExec_t graph;
};

static enum status record_begin(void) {
    return cuda_check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                      "recording");
}

static enum status instantiate(cudaGraph_t graph, struct recording **recording) {
    struct recording *made;
    TRY(allocate(&made, 1, sizeof *made, "a recording"));
    enum status status =
        cuda_check(cudaGraphInstantiate(&made->graph, graph, 0), "keeping a recording");
    if (status == STATUS_OK)
        *recording = made;
    else
        free(made);
    return status;
}

static enum status record_end(struct recording **recording) {
    cudaGraph_t graph = NULL;
    *recording = NULL;
    TRY(cuda_check(cudaStreamEndCapture(stream, &graph), "ending a recording"));
    enum status status = instantiate(graph, recording);
    cudaGraphDestroy(graph);
    return status;
}

static enum status replay(struct recording *recording) {
    return cuda_check(cudaGraphLaunch(recording->graph, stream), "replaying");
}

static void recording_release(struct recording *recording) {
    if (recording == NULL)
        return;
    cudaGraphExecDestroy(recording->graph);
    free(recording);
}

static const struct memory *device_memory(void) {
    static struct memory memory;
    memory.separate = true;
    memory.take = memory_take;
    memory.give_back = memory_give_back;
    memory.take_shared = memory_take_shared;
    memory.give_back_shared = memory_give_back_shared;
    memory.copy = memory_copy;
    memory.clear = memory_clear;
    memory.finish = memory_finish;
    memory.record_begin = record_begin;
    memory.record_end = record_end;
    memory.replay = replay;
    memory.recording_release = recording_release;
    return &memory;
}

/* ------------------------------------------------------------------ the tables */

/* Pieces of a batch: a few for every multiprocessor of the largest cards. */
enum { BLOCKS = 512 };

template <class T> size_t cuda_prepared_size(const struct convolution *convolution) {
    switch (convolution->kind) {
    case CONVOLUTION_DENSE:
        return cuda_dense_prepared_size<T>(convolution);
    case CONVOLUTION_POINTWISE:
        return cuda_pointwise_prepared_size<T>(convolution);
    default:
        return cuda_depthwise_prepared_size<T>(convolution);
    }
}

template <class T> size_t cuda_convolution_scratch(const struct convolution *convolution) {
    switch (convolution->kind) {
    case CONVOLUTION_DENSE:
        return cuda_dense_scratch<T>(convolution);
    case CONVOLUTION_POINTWISE:
        return cuda_pointwise_scratch<T>(convolution);
    default:
        return cuda_depthwise_scratch<T>(convolution);
    }
}

template <class T> static const struct ops *table(const char *name) {
    static struct ops ops;
    ops.name = name;
    ops.memory = device_memory();
    ops.activation_size = sizeof(T);
    ops.align = LANES;
    ops.blocks = BLOCKS;
    ops.scratch = CUDA_SCRATCH;
    ops.convolution_prepared_size = cuda_prepared_size<T>;
    ops.convolution_scratch = cuda_convolution_scratch<T>;
    ops.prepare = cuda_prepare<T>;
    ops.dense_forward = cuda_dense_forward<T>;
    ops.dense_backward = cuda_dense_backward<T>;
    ops.pointwise_forward = cuda_pointwise_forward<T>;
    ops.pointwise_backward = cuda_pointwise_backward<T>;
    ops.depthwise_forward = cuda_depthwise_forward<T>;
    ops.depthwise_backward = cuda_depthwise_backward<T>;
    ops.batch_norm_forward = cuda_batch_norm_forward;
    ops.batch_norm_backward = cuda_batch_norm_backward;
    ops.combine_forward = cuda_combine_forward<T>;
    ops.combine_backward = cuda_combine_backward<T>;
    ops.squeeze_excite_forward = cuda_squeeze_excite_forward<T>;
    ops.squeeze_excite_backward = cuda_squeeze_excite_backward<T>;
    ops.pool_mean_forward = cuda_pool_mean_forward<T>;
    ops.pool_mean_backward = cuda_pool_mean_backward<T>;
    ops.loss_forward_backward = cuda_loss<T>;
    ops.normalise_pictures = cuda_normalise_pictures<T>;
    ops.add = cuda_add;
    ops.update = cuda_update;
    ops.average = cuda_average;
    return &ops;
}

/* ------------------------------------------------------------------ opening */

enum { OLDEST = 80 /* compute capability times 10: bf16 on tensor cores */ };

static enum status find_device(void) {
    int count = 0; /* not written by some failures */
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        cudaGetLastError();
        return fail(STATUS_FAILED, "no CUDA device: %s",
                    error != cudaSuccess ? cudaGetErrorString(error) : "the driver lists none");
    }
    int major = 0, minor = 0;
    TRY(cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0),
                   "asking for the compute capability"));
    TRY(cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0),
                   "asking for the compute capability"));
    if (major * 10 + minor < OLDEST)
        return fail(STATUS_FAILED, "CUDA device 0 has compute capability %d.%d; %d.%d is the least",
                    major, minor, OLDEST / 10, OLDEST % 10);
    return STATUS_OK;
}

extern "C" enum status taper_backend_open(int version, enum precision precision,
                                          const struct ops **ops) {
    if (version != BACKEND_VERSION)
        return fail(STATUS_FAILED, "the CUDA backend has version %d, the program wants %d",
                    BACKEND_VERSION, version);
    TRY(find_device());
    if (stream == NULL)
        TRY(cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                       "creating a stream"));
    *ops = precision == PRECISION_BF16 ? table<bf16>("cuda-bf16") : table<float>("cuda");
    return STATUS_OK;
}
