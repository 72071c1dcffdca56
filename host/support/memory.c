#include "support/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_long calls_until_failure; /* 0: off */

void allocate_fail_at(long n) {
    atomic_store(&calls_until_failure, n);
}

bool allocate_refused(void) {
    long left = atomic_load(&calls_until_failure);
    while (left > 0 && !atomic_compare_exchange_weak(&calls_until_failure, &left, left - 1))
        ;
    return left == 1;
}

static enum status no_memory(const char *what, size_t bytes) {
    return fail(STATUS_FAILED, "no memory for %s (%.1f MB)", what, (double)bytes / 1e6);
}

enum status allocate(void *pointer, size_t count, size_t size, const char *what) {
    size_t bytes;
    void *memory = NULL;
    memcpy(pointer, &memory, sizeof memory); /* the caller's pointer has another type */
    if (__builtin_mul_overflow(count, size, &bytes))
        return fail(STATUS_FAILED, "no memory for %s (%zu times %zu bytes)", what, count, size);
    if (!allocate_refused())
        memory = calloc(bytes > 0 ? bytes : 1, 1);
    if (memory == NULL)
        return no_memory(what, bytes);
    memcpy(pointer, &memory, sizeof memory);
    return STATUS_OK;
}

/* Pieces and their guards grow from the start of the mapping, and from its end downwards an index
 * of the guards' offsets, so that a damaged guard does not hide the others. */
struct arena {
    unsigned char *base;
    size_t size;    /* a multiple of ALIGNMENT */
    size_t used;    /* by pieces and guards: a multiple of ALIGNMENT */
    size_t *guards; /* the end of the mapping: guards[-1] is the first one's offset */
    size_t guard_count;
};

enum { ALIGNMENT = 64, GUARD_WORDS = 16 };

/* A NaN as float and as double: an operation that reads a guard shows it in its result. */
static const uint32_t guard_word = 0xfff5fff5;

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t arena_piece(size_t bytes) {
    return round_up(bytes) + GUARD_WORDS * sizeof guard_word + sizeof(size_t);
}

enum status arena_create(struct arena **arena, size_t bytes, const char *what) {
    struct arena *made = NULL;
    *arena = NULL;
    if (bytes > SIZE_MAX - ALIGNMENT || allocate_refused() ||
        (made = calloc(1, sizeof *made)) == NULL)
        return no_memory(what, bytes);
    made->size = round_up(bytes > 0 ? bytes : 1);
    made->base = mmap(NULL, made->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made->base == MAP_FAILED) {
        free(made);
        return no_memory(what, bytes);
    }
    madvise(made->base, made->size, MADV_HUGEPAGE); /* only a wish: without it, it is slower */
    memset(made->base, 0, made->size);
    made->guards = (size_t *)(made->base + made->size);
    *arena = made;
    return STATUS_OK;
}

void *arena_take(struct arena *arena, size_t bytes) {
    size_t index = arena->guard_count * sizeof(size_t);
    if (bytes > arena->size || arena_piece(bytes) > arena->size - arena->used - index)
        return NULL;
    unsigned char *piece = arena->base + arena->used;
    size_t guard = arena->used + round_up(bytes);
    uint32_t *words = (uint32_t *)(arena->base + guard);
    for (int i = 0; i < GUARD_WORDS; i++)
        words[i] = guard_word;
    arena->guard_count++;
    arena->guards[-(ptrdiff_t)arena->guard_count] = guard;
    arena->used = guard + GUARD_WORDS * sizeof guard_word;
    return piece;
}

void arena_begin_anew(struct arena *arena) {
    arena->used = arena->guard_count = 0;
}

int arena_check(const struct arena *arena) {
    int broken = 0;
    for (size_t n = 1; n <= arena->guard_count; n++) {
        const uint32_t *words = (const uint32_t *)(arena->base + arena->guards[-(ptrdiff_t)n]);
        bool intact = true;
        for (int i = 0; i < GUARD_WORDS; i++)
            intact = intact && words[i] == guard_word;
        broken += !intact;
    }
    return broken;
}

void arena_release(struct arena *arena) {
    if (arena == NULL)
        return;
    munmap(arena->base, arena->size);
    free(arena);
}
