#include "fiber.h"
#include "cuda_on_cpu.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CUDA_ON_CPU_RACES
#include <sanitizer/tsan_interface.h>
#endif

/* void on_cpu_switch(void **from, void *to): keeps what a call must keep on the stack that is left,
 * and its top in *from; goes on where the other stack was left. */
asm(".text\n"
    ".type on_cpu_switch,@function\n"
    "on_cpu_switch:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp,(%rdi)\n"
    "mov %rsi,%rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
    "ret\n"
    ".size on_cpu_switch,.-on_cpu_switch\n");
extern "C" void on_cpu_switch(void **from, void *to);

namespace on_cpu {

enum {
    SAVED_REGISTERS = 6,
    TOP = 64,    /* bytes left free above the first frame */
    GUARD = 4096 /* bytes below a stack that must not be touched */
};

#ifdef __SANITIZE_ADDRESS__
static const size_t STACK = 256 << 10; /* red zones make frames larger */
#else
static const size_t STACK = 64 << 10;
#endif

/* The block's own stack, on which its threads are given their turns. */
static CUDA_ON_CPU_LOCAL struct {
    void *stack_pointer;
    [[maybe_unused]] void *fake_stack, *races;
    [[maybe_unused]] const void *bottom;
    [[maybe_unused]] size_t size;
} own;

static char *new_stack() {
    void *stack = mmap(nullptr, GUARD + STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD, PROT_NONE) != 0) {
        fputs("CUDA on the CPU: no memory for a stack\n", stderr);
        abort();
    }
    return static_cast<char *>(stack) + GUARD;
}

#ifdef CUDA_ON_CPU_RACES

enum { MOST_THREADS = 1024 };

/* For good: nothing is freed that another thread has allocated. */
static struct {
    void *races;
    char *stack;
} kept[2][MOST_THREADS];

static void take_stack(fiber *fiber, unsigned index, int set) {
    auto &mine = kept[set][index];
    if (mine.stack == nullptr)
        mine = {__tsan_create_fiber(0), new_stack()};
    fiber->races = mine.races;
    fiber->stack = mine.stack;
}

void fiber_release(fiber *fiber) {
    fiber->stack = nullptr;
}

void races_release(void *address) {
    __tsan_release(address);
}

void races_acquire(void *address) {
    __tsan_acquire(address);
}

#else

static std::vector<char *> free_stacks;

static void take_stack(fiber *fiber, unsigned, int) {
    if (free_stacks.empty())
        free_stacks.push_back(new_stack());
    fiber->stack = free_stacks.back();
    free_stacks.pop_back();
}

void fiber_release(fiber *fiber) {
    if (fiber->stack)
        free_stacks.push_back(fiber->stack);
    fiber->stack = nullptr;
}

void races_release(void *) {
}
void races_acquire(void *) {
}

#endif

void fiber_create(fiber *fiber, void (*entry)(), unsigned index, int set) {
    take_stack(fiber, index, set);
    void **top = reinterpret_cast<void **>(fiber->stack + STACK - TOP);
    *top = reinterpret_cast<void *>(entry);
    for (int i = 0; i < SAVED_REGISTERS; i++)
        *--top = nullptr;
    fiber->stack_pointer = top;
}

void fiber_begun() {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &own.bottom, &own.size);
#endif
}

void fiber_resume(fiber *fiber) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&own.fake_stack, fiber->stack, STACK);
#endif
#ifdef CUDA_ON_CPU_RACES
    own.races = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->races, __tsan_switch_to_fiber_no_sync);
#endif
    on_cpu_switch(&own.stack_pointer, fiber->stack_pointer);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(own.fake_stack, nullptr, nullptr);
#endif
}

static void leave(fiber *fiber, [[maybe_unused]] void **fake_stack) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(fake_stack, own.bottom, own.size);
#endif
#ifdef CUDA_ON_CPU_RACES
    __tsan_switch_to_fiber(own.races, __tsan_switch_to_fiber_no_sync);
#endif
    on_cpu_switch(&fiber->stack_pointer, own.stack_pointer);
}

void fiber_pause(fiber *fiber) {
    leave(fiber, &fiber->fake_stack);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fiber->fake_stack, nullptr, nullptr);
#endif
}

void fiber_end(fiber *fiber) {
    leave(fiber, nullptr);
}

} // namespace on_cpu
