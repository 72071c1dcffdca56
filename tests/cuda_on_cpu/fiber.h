/* Stacks that functions run on in turns, all on one thread of the processor. x86-64. */
#ifndef CUDA_ON_CPU_FIBER_H
#define CUDA_ON_CPU_FIBER_H

namespace on_cpu {

struct fiber {
    void *stack_pointer; /* while it waits */
    char *stack;         /* NULL: none yet */
    void *fake_stack;    /* the address sanitizer's */
    void *races;         /* the thread sanitizer's fiber */
};

/* Gives it a stack on which `entry` will begin, and never return. Under the thread sanitizer, whose
 * fibers take milliseconds to make, the stack `index` of one of two sets: neighbouring blocks use
 * different ones, so that a race between them shows. */
void fiber_create(fiber *fiber, void (*entry)(), unsigned index, int set);
void fiber_release(fiber *fiber);

/* The first thing on a new stack. */
void fiber_begun();
/* From the block's own stack into the fiber until it pauses, and back. */
void fiber_resume(fiber *fiber);
void fiber_pause(fiber *fiber);
/* Pauses and will not be resumed. */
void fiber_end(fiber *fiber);

/* To the thread sanitizer: what happened before a release happened before the next acquire. Without
 * it, nothing. */
void races_release(void *address);
void races_acquire(void *address);

} // namespace on_cpu

#endif
