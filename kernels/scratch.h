/* Cutting a worker's scratch memory (slice->scratch) into pieces, each on its own cache lines. */
#ifndef TAPER_SCRATCH_H
#define TAPER_SCRATCH_H

#include "tensor.h"

struct scratch {
    char *next;
};

enum { SCRATCH_ALIGN = 64 };

/* What a piece costs. */
static inline size_t scratch_bytes(size_t count, size_t size) {
    return (count * size + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
}

static inline real *scratch_reals(struct scratch *scratch, size_t count) {
    void *piece = scratch->next;
    scratch->next += scratch_bytes(count, sizeof(real));
    return piece;
}

static inline double *scratch_doubles(struct scratch *scratch, size_t count) {
    void *piece = scratch->next;
    scratch->next += scratch_bytes(count, sizeof(double));
    return piece;
}

#endif
