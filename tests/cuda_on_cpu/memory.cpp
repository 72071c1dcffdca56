/* Which memory is whose. The device's is the host's own here, but the host may not touch it: the
 * address sanitizer is told so outside of kernels and copies. All memory begins with NaN. */
#include "runtime.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
static void __asan_poison_memory_region(void *, size_t) {
}
static void __asan_unpoison_memory_region(void *, size_t) {
}
#endif

namespace on_cpu {

enum kind { HOST, DEVICE, SHARED /* page-locked memory of the host, which the device may touch */ };

struct allocation {
    char *memory;
    size_t size, reserved;
    on_cpu::kind kind;
};

enum { ALIGNMENT = 256 };

static std::map<uintptr_t, allocation> allocations;
static int opened;

/* NULL: ordinary memory of the host. */
static const allocation *find(const void *pointer) {
    auto after = allocations.upper_bound((uintptr_t)pointer);
    if (after == allocations.begin())
        return nullptr;
    const allocation &before = std::prev(after)->second;
    size_t offset = (uintptr_t)pointer - (uintptr_t)before.memory;
    return offset < before.size ? &before : nullptr;
}

static kind kind_of(const void *pointer) {
    const allocation *allocation = find(pointer);
    return allocation ? allocation->kind : HOST;
}

void open_memory() {
    if (opened++ > 0)
        return;
    for (auto &entry : allocations)
        __asan_unpoison_memory_region(entry.second.memory, entry.second.size);
}

void close_memory() {
    if (--opened > 0)
        return;
    for (auto &entry : allocations)
        if (entry.second.kind == DEVICE)
            __asan_poison_memory_region(entry.second.memory, entry.second.size);
}

void check_argument(const char *kernel, int index, const void *pointer) {
    char what[64];
    snprintf(what, sizeof what, "argument %d is not memory of the device", index);
    if (pointer && kind_of(pointer) == HOST)
        misuse(what, kernel, pointer);
}

static cudaError_t allocate(void **memory, size_t size, kind kind) {
    *memory = nullptr;
    if (is_any_capturing())
        return failed(cudaErrorStreamCaptureUnsupported);
    if (size == 0)
        return cudaSuccess;
    size_t reserved = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *taken = is_refused() ? nullptr : aligned_alloc(ALIGNMENT, reserved);
    if (taken == nullptr)
        return failed(cudaErrorMemoryAllocation);
    memset(taken, 0xff, size);
    allocations[(uintptr_t)taken] = {static_cast<char *>(taken), size, reserved, kind};
    __asan_poison_memory_region(static_cast<char *>(taken) + size, reserved - size);
    if (kind == DEVICE)
        __asan_poison_memory_region(taken, size);
    count_alive(1);
    *memory = taken;
    return cudaSuccess;
}

static cudaError_t release(void *memory, kind kind) {
    if (memory == nullptr)
        return cudaSuccess;
    auto entry = allocations.find((uintptr_t)memory);
    if (entry == allocations.end() || entry->second.kind != kind)
        return failed(cudaErrorInvalidValue);
    finish_all();
    __asan_unpoison_memory_region(memory, entry->second.reserved);
    allocations.erase(entry);
    free(memory);
    count_alive(-1);
    return cudaSuccess;
}

/* ------------------------------------------------------------------ copies */

static void check_end(const char *where, const void *pointer, size_t size) {
    const allocation *allocation = find(pointer);
    if (allocation && (const char *)pointer + size > allocation->memory + allocation->size)
        misuse("runs past the end of an allocation", where, pointer);
}

static void check_side(const char *where, const void *pointer, bool is_device) {
    if (is_device != (kind_of(pointer) == DEVICE))
        misuse(is_device ? "memory of the host, not of the device"
                         : "memory of the device, not of the host",
               where, pointer);
}

static void check_copy(const char *where, void *to, const void *from, size_t size,
                       cudaMemcpyKind direction) {
    check_end(where, to, size);
    check_end(where, from, size);
    if (direction == cudaMemcpyDefault)
        return;
    check_side(where, to,
               direction == cudaMemcpyHostToDevice || direction == cudaMemcpyDeviceToDevice);
    check_side(where, from,
               direction == cudaMemcpyDeviceToHost || direction == cudaMemcpyDeviceToDevice);
}

/* From ordinary memory the copy is made at once, to a buffer of the driver's; to ordinary memory
 * the call waits. Neither can be kept in a graph. */
static cudaError_t copy(void *to, const void *from, size_t size, cudaStream_t stream) {
    bool from_host = kind_of(from) == HOST, to_host = kind_of(to) == HOST;
    if (is_capturing(stream) && (from_host || to_host))
        return failed(cudaErrorStreamCaptureUnsupported);
    if (from_host) {
        const char *bytes = static_cast<const char *>(from);
        auto kept = std::make_shared<std::vector<char>>(bytes, bytes + size);
        cudaError_t error = enqueue(stream, [=] { memcpy(to, kept->data(), size); });
        if (to_host)
            finish(stream);
        return error;
    }
    cudaError_t error = enqueue(stream, [=] { memcpy(to, from, size); });
    if (to_host)
        finish(stream);
    return error;
}

} // namespace on_cpu

using namespace on_cpu;

extern "C" {

cudaError_t cudaMalloc(void **memory, size_t size) {
    return allocate(memory, size, DEVICE);
}

cudaError_t cudaMallocHost(void **memory, size_t size) {
    return allocate(memory, size, SHARED);
}

cudaError_t cudaHostAlloc(void **memory, size_t size, unsigned) {
    return allocate(memory, size, SHARED);
}

cudaError_t cudaFree(void *memory) {
    return release(memory, DEVICE);
}

cudaError_t cudaFreeHost(void *memory) {
    return release(memory, SHARED);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind direction,
                            cudaStream_t stream) {
    check_copy("cudaMemcpyAsync", to, from, size, direction);
    return copy(to, from, size, stream);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, cudaMemcpyKind direction) {
    check_copy("cudaMemcpy", to, from, size, direction);
    cudaError_t error = copy(to, from, size, nullptr);
    finish(nullptr);
    return error;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t size, cudaStream_t stream) {
    check_end("cudaMemsetAsync", memory, size);
    if (kind_of(memory) == HOST)
        misuse("memory of the host, not of the device", "cudaMemsetAsync", memory);
    return enqueue(stream, [=] { memset(memory, value, size); });
}

cudaError_t cudaMemset(void *memory, int value, size_t size) {
    return cudaMemsetAsync(memory, value, size, nullptr);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    *available = *total = (size_t)4 << 30;
    for (auto &entry : allocations)
        *available -= std::min(*available, entry.second.kind == DEVICE ? entry.second.size : 0);
    return cudaSuccess;
}
}
