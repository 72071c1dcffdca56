/* What the device says about itself, and errors. */
#include "runtime.h"

#include <cstdio>
#include <cstdlib>

namespace on_cpu {

/* The figures of an H100, for code that sizes its grids by them; few multiprocessors, so that small
 * tests fill them. */
enum { MULTIPROCESSORS = 4, MAJOR = 9, MINOR = 0 };

static thread_local cudaError_t last_error;

cudaError_t failed(cudaError_t error) {
    if (error != cudaSuccess)
        last_error = error;
    return error;
}

void misuse(const char *what, const char *where, const void *pointer) {
    fprintf(stderr, "CUDA on the CPU: %s: %s (%p)\n", where, what, pointer);
    abort();
}

long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? strtol(text, nullptr, 10) : otherwise;
}

static int devices() {
    static int count = (int)setting("CUDA_ON_CPU_DEVICES", 1);
    return count;
}

} // namespace on_cpu

using namespace on_cpu;

extern "C" {

cudaError_t cudaDriverGetVersion(int *version) {
    *version = devices() > 0 ? CUDART_VERSION : 0;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    if (devices() == 0)
        return failed(cudaErrorNoDevice); /* *count stays as it was, as it may with a driver */
    *count = devices();
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    return device >= 0 && device < devices() ? cudaSuccess : failed(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= devices())
        return failed(cudaErrorInvalidDevice);
    switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
        *value = MAJOR;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = MINOR;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = MULTIPROCESSORS;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = 227 << 10;
        return cudaSuccess;
    default:
        misuse("an attribute that is not known here", "cudaDeviceGetAttribute", nullptr);
    }
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    if (device < 0 || device >= devices())
        return failed(cudaErrorInvalidDevice);
    *properties = {};
    snprintf(properties->name, sizeof properties->name, "the CPU, executing CUDA");
    properties->major = MAJOR;
    properties->minor = MINOR;
    properties->multiProcessorCount = MULTIPROCESSORS;
    properties->totalGlobalMem = (size_t)4 << 30;
    properties->warpSize = warpSize;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void) {
    return last_error;
}

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
        return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    case cudaErrorNoDevice:
        return "cudaErrorNoDevice";
    case cudaErrorStreamCaptureUnsupported:
        return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
        return "cudaErrorStreamCaptureInvalidated";
    default:
        return "a CUDA error";
    }
}

const char *cudaGetErrorString(cudaError_t error) {
    return cudaGetErrorName(error);
}
}
