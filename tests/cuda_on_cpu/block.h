/* A block of CUDA threads at work. */
#ifndef CUDA_ON_CPU_BLOCK_H
#define CUDA_ON_CPU_BLOCK_H

#include "cuda_on_cpu.h"
#include "fiber.h"

#include <vector>

namespace on_cpu {

enum class state { unstarted, ready, waiting, done };

struct late_copy {
    void *shared;
    const void *global;
    size_t size;
};

struct thread : place {
    on_cpu::state state;
    on_cpu::fiber fiber;
    std::vector<std::vector<late_copy>> copies; /* groups; the last one has not ended */

    /* Where it waits, with what, and what it gets. */
    meeting kind;
    unsigned mask;
    uint64_t value, result;
    int argument, width;
    std::source_location at;

    bool meets(const thread &other) const;
    void go_on();
};

struct block {
    const call *launched;
    const std::function<void()> *body; /* of a thread */
    std::vector<thread> threads;
    std::vector<unsigned> order;  /* in which they are given their turns */
    std::vector<char> warp_meets; /* their addresses stand for meetings, to the thread sanitizer: */
    char meets, *begins, *ends;   /* of a warp, of the block, and of the grid with its launch */
    unsigned running, waiting, next; /* threads not done; of them waiting; unstarted: in order */
    int parity;                      /* odd or even block of the grid */
    char *shared;
};

extern CUDA_ON_CPU_LOCAL block *at_work;

inline bool is_of_warp(meeting kind) {
    return kind >= meeting::warp;
}

/* Threads of the block to the end. */
void run_block(block *block);
/* If all lanes are there that must be: gives them their results, and lets them go on. */
bool warp_meets(thread *thread);
/* The error, with who waits where; ends the program. */
[[noreturn]] void give_up(const char *what);

} // namespace on_cpu

#endif
