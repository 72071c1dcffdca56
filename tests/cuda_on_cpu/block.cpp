/* The threads of a block take turns on one thread of the processor: each runs until it ends, or has
 * to wait for others at a barrier or in a warp. Then the next one that can go on has its turn. A
 * block in which nobody can go on has a bug, which is told. */
#include "block.h"

#include <cstdio>
#include <cstdlib>

namespace on_cpu {

CUDA_ON_CPU_LOCAL place *current;
CUDA_ON_CPU_LOCAL uint3 current_block;
CUDA_ON_CPU_LOCAL dim3 block_size, grid_size;
CUDA_ON_CPU_LOCAL block *at_work;

void *dynamic_shared() {
    return at_work->shared;
}

bool thread::meets(const thread &other) const {
    return kind == other.kind && mask == other.mask && at.line() == other.at.line() &&
           at.column() == other.at.column() && at.file_name() == other.at.file_name();
}

void thread::go_on() {
    state = state::ready;
    kind = meeting::none;
    at_work->waiting--;
}

void give_up(const char *what) {
    static const char *const names[] = {"nothing",
                                        "__syncthreads",
                                        "__syncthreads_or",
                                        "__syncthreads_and",
                                        "__syncthreads_count",
                                        "__syncwarp",
                                        "__shfl_sync",
                                        "__shfl_up_sync",
                                        "__shfl_down_sync",
                                        "__shfl_xor_sync",
                                        "a vote"};
    fprintf(stderr, "CUDA on the CPU: %s in kernel %s, block (%u,%u,%u)\n", what,
            at_work->launched->name, current_block.x, current_block.y, current_block.z);
    int shown = 0;
    for (const thread &thread : at_work->threads)
        if (thread.state == state::waiting && shown++ < 4)
            fprintf(stderr, "  thread (%u,%u,%u) waits in %s, %s:%u, mask %08x\n", thread.index.x,
                    thread.index.y, thread.index.z, names[(int)thread.kind], thread.at.file_name(),
                    thread.at.line(), thread.mask);
    fprintf(stderr, "  %zu of %zu threads have ended\n", at_work->threads.size() - at_work->running,
            at_work->threads.size());
    abort();
}

/* ------------------------------------------------------------------ turns */

/* A stack whose thread has ended can run one that has not begun: kernels without barriers need no
 * switch at all. Not under the thread sanitizer, to which a stack is a thread. */
static thread *next_unstarted() {
#ifndef CUDA_ON_CPU_RACES
    while (at_work->next < at_work->order.size()) {
        thread *next = &at_work->threads[at_work->order[at_work->next++]];
        if (next->state == state::unstarted)
            return next;
    }
#endif
    return nullptr;
}

static void thread_entry() {
    fiber_begun();
    for (;;) {
        thread *self = static_cast<thread *>(current);
        races_acquire(at_work->begins);
        (*at_work->body)();
        races_release(at_work->ends);
        self->state = state::done;
        at_work->running--;
        thread *next = next_unstarted();
        if (next == nullptr)
            fiber_end(&self->fiber);
        next->fiber = self->fiber;
        self->fiber.stack = nullptr;
        next->state = state::ready;
        current = next;
    }
}

static void turn_of(thread *thread) {
    current = thread;
    if (thread->state == state::unstarted)
        fiber_create(&thread->fiber, thread_entry, (unsigned)(thread - at_work->threads.data()),
                     at_work->parity);
    thread->state = state::ready;
    fiber_resume(&thread->fiber);
}

static bool give_turns() {
    bool any = false;
    at_work->next = 0;
    for (unsigned i : at_work->order) {
        thread *thread = &at_work->threads[i];
        if (thread->state != state::ready && thread->state != state::unstarted)
            continue;
        turn_of(thread);
        any = true;
    }
    return any;
}

/* ------------------------------------------------------------------ meetings */

uint64_t meet(meeting kind, unsigned mask, uint64_t value, int argument, int width,
              std::source_location at) {
    thread *self = static_cast<thread *>(current);
    self->kind = kind, self->mask = mask, self->value = value;
    self->argument = argument, self->width = width, self->at = at;
    self->state = state::waiting;
    at_work->waiting++;
    if (is_of_warp(kind) && !(mask >> self->lane & 1))
        give_up("a lane is in a warp operation whose mask leaves it out");
    void *where = is_of_warp(kind) ? &at_work->warp_meets[self->warp] : &at_work->meets;
    races_release(where);
    if (!is_of_warp(kind) || !warp_meets(self))
        fiber_pause(&self->fiber);
    races_acquire(where);
    return self->result;
}

static uint64_t result_of(meeting kind, uint64_t count, size_t all) {
    switch (kind) {
    case meeting::barrier_or:
        return count > 0;
    case meeting::barrier_and:
        return count == all;
    default:
        return count;
    }
}

/* If all threads wait at a barrier: the same one? */
static bool block_meets() {
    const thread *first = nullptr;
    uint64_t count = 0;
    if (at_work->waiting != at_work->running)
        return false;
    for (const thread &thread : at_work->threads) {
        if (thread.state == state::done)
            continue;
        if (is_of_warp(thread.kind))
            return false;
        first = first ? first : &thread;
        if (!thread.meets(*first))
            give_up("threads meet in different barriers");
        count += thread.value;
    }
    if (at_work->running != at_work->threads.size())
        give_up("threads have ended before a barrier that others wait at");
    uint64_t result = result_of(first->kind, count, at_work->threads.size());
    for (thread &thread : at_work->threads) {
        thread.result = result;
        thread.go_on();
    }
    return true;
}

/* A warp operation that waited for lanes which have ended meanwhile. */
static bool some_warp_meets() {
    for (thread &thread : at_work->threads)
        if (thread.state == state::waiting && is_of_warp(thread.kind) && warp_meets(&thread))
            return true;
    return false;
}

void run_block(block *block) {
    at_work = block;
    races_release(block->begins); /* this block's shared memory is older than its threads */
    while (block->running > 0) {
        bool any = give_turns();
        if (block->running > 0 && !block_meets() && !any && !some_warp_meets())
            give_up("deadlock: threads wait for threads that do not come");
    }
    for (thread &thread : block->threads)
        fiber_release(&thread.fiber);
}

} // namespace on_cpu
