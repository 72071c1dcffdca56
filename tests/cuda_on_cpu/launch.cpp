/* A launch: the checks that a card makes, and the blocks of the grid one after the other. */
#include "block.h"
#include "runtime.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

namespace on_cpu {

/* Limits of all cards since compute capability 8.0; shared memory beyond the first is for kernels
 * that asked for it, up to the second, of 9.0 (8.0: 163 KB). */
enum {
    MOST_THREADS = 1024,
    MOST_THREADS_Z = 64,
    MOST_BLOCKS_YZ = 65535,
    SHARED = 48 << 10,
    SHARED_ASKED = 227 << 10
};

static std::map<const void *, int> &shared_asked() {
    static std::map<const void *, int> asked;
    return asked;
}

static bool is_possible(const call &call) {
    const dim3 &grid = call.grid, &block = call.block;
    size_t threads = (size_t)block.x * block.y * block.z;
    return threads > 0 && threads <= MOST_THREADS && block.z <= MOST_THREADS_Z && grid.x > 0 &&
           grid.x <= 0x7fffffff && grid.y > 0 && grid.y <= MOST_BLOCKS_YZ && grid.z > 0 &&
           grid.z <= MOST_BLOCKS_YZ;
}

void launch_checked(const call &call, cudaStream_t stream, std::function<void()> thread) {
    auto asked = shared_asked().find(call.kernel);
    int more = asked == shared_asked().end() ? 0 : asked->second;
    size_t most = more > SHARED ? more : SHARED;
    if (!is_possible(call))
        failed(cudaErrorInvalidConfiguration);
    else if (call.shared > most)
        failed(cudaErrorInvalidValue);
    else
        enqueue(stream, [call, thread = std::move(thread)] { run_grid(call, thread); });
}

/* ------------------------------------------------------------------ blocks */

static void begin_block(block *block, size_t index) {
    const dim3 &size = block->launched->block, &grid = block->launched->grid;
    block->running = (unsigned)block->threads.size();
    block->waiting = 0;
    block->parity = (int)(index & 1);
    for (unsigned t = 0; t < block->threads.size(); t++) {
        thread *thread = &block->threads[t];
        *thread = {};
        thread->index = {t % size.x, t / size.x % size.y, t / size.x / size.y};
        thread->lane = t % 32;
        thread->warp = t / 32;
    }
    /* Shared memory begins with NaN, as floats and as bf16. An allocation of exactly its size for
     * each block: the address sanitizer sees who leaves it. */
    size_t shared = block->launched->shared;
    block->shared = static_cast<char *>(malloc(shared > 0 ? shared : 1));
    if (block->shared == nullptr)
        give_up("no memory for shared memory");
    memset(block->shared, 0xff, shared);
    current_block = {(unsigned)(index % grid.x), (unsigned)(index / grid.x % grid.y),
                     (unsigned)(index / grid.x / grid.y)};
    block_size = size;
    grid_size = grid;
}

static void end_block(block *block) {
    races_acquire(block->ends);
    free(block->shared);
}

static void one_block(block *block, size_t index) {
    begin_block(block, index);
    run_block(block);
    end_block(block);
}

#ifdef CUDA_ON_CPU_RACES

struct job {
    on_cpu::block *block;
    size_t index;
    int is_done;
};

static void *run_job(void *argument) {
    job *job = static_cast<on_cpu::job *>(argument);
    one_block(job->block, job->index);
    __atomic_store_n(&job->is_done, 1, __ATOMIC_RELEASE);
    return nullptr;
}

/* On a thread of its own, whose end the thread sanitizer must not see: to it, blocks have no order.
 * (This file is compiled without it.) */
static void run_one(block *block, size_t index) {
    job job = {block, index, 0};
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    races_release(block->begins);
    if (pthread_create(&thread, &detached, run_job, &job) != 0)
        abort();
    while (!__atomic_load_n(&job.is_done, __ATOMIC_ACQUIRE))
        sched_yield();
    pthread_attr_destroy(&detached);
}

#else

static void run_one(block *block, size_t index) {
    one_block(block, index);
}

#endif

static void in_order(std::vector<unsigned> &order) {
    for (unsigned i = 0; i < order.size(); i++)
        order[i] = i;
}

void run_grid(const call &call, const std::function<void()> &thread) {
    static long seed = setting("CUDA_ON_CPU_SEED", 0);
    static std::mt19937 random((unsigned)seed);
    char begins = 0, ends = 0;
    block block = {};
    block.launched = &call, block.body = &thread;
    block.begins = &begins, block.ends = &ends;
    block.threads.resize((size_t)call.block.x * call.block.y * call.block.z);
    block.warp_meets.resize(block.threads.size() / 32 + 1);
    block.order.resize(block.threads.size());
    in_order(block.order);
    std::vector<unsigned> blocks((size_t)call.grid.x * call.grid.y * call.grid.z);
    in_order(blocks);
    if (seed != 0)
        std::shuffle(blocks.begin(), blocks.end(), random);
    for (unsigned index : blocks) {
        if (seed != 0)
            std::shuffle(block.order.begin(), block.order.end(), random);
        run_one(&block, index);
    }
    races_acquire(&ends);
    current = nullptr;
}

} // namespace on_cpu

extern "C" cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute,
                                            int value) {
    using namespace on_cpu;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
    if (value < 0 || value > SHARED_ASKED)
        return failed(cudaErrorInvalidValue);
    shared_asked()[kernel] = value;
    return cudaSuccess;
}
