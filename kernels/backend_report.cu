/* What CUDA sees of this machine, in words for a person. */
#include "cuda.cuh"

#include <stdarg.h>
#include <stdio.h>

/* Lines in a caller's buffer, cut off at its end. */
struct lines {
    char *text;
    size_t size, length;
};

static void add(struct lines *lines, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t left = lines->size - lines->length;
    int wanted = vsnprintf(lines->text + lines->length, left, format, arguments);
    va_end(arguments);
    if (wanted > 0)
        lines->length += (size_t)wanted < left ? (size_t)wanted : left - 1;
}

/* CUDA counts 13.0 as 13000. */
static void add_versions(struct lines *lines) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    add(lines, "runtime %d.%d, ", runtime / 1000, runtime % 1000 / 10);
    if (driver == 0)
        add(lines, "no driver\n");
    else
        add(lines, "driver for CUDA up to %d.%d\n", driver / 1000, driver % 1000 / 10);
}

static enum status add_device(struct lines *lines, int index) {
    cudaDeviceProp device;
    TRY(cuda_check(cudaGetDeviceProperties(&device, index), "asking for a device's properties"));
    add(lines, "device %d: %s, compute capability %d.%d, %.1f GB, %d multiprocessors\n", index,
        device.name, device.major, device.minor, 1e-9 * (double)device.totalGlobalMem,
        device.multiProcessorCount);
    return STATUS_OK;
}

extern "C" enum status taper_backend_report(char *text, size_t size) {
    struct lines lines = {text, size, 0};
    int count = 0; /* not written by some failures */
    if (size == 0)
        return fail(STATUS_FAILED, "no room for a report");
    text[0] = '\0';
    add_versions(&lines);
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError(); /* it is not the next call's */
        count = 0;
    }
    for (int i = 0; i < count; i++)
        TRY(add_device(&lines, i));
    return STATUS_OK;
}
