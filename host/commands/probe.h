/* How fast and how large passes are here, measured on synthetic pictures. */
#ifndef TAPER_PROBE_H
#define TAPER_PROBE_H

#include "config/config.h"
#include "support/pool.h"

/* Bytes of a pass of the largest sub-network for a batch: they grow linearly with its images. */
struct pass_memory {
    double fixed, image;
};
static inline double pass_memory_of(const struct pass_memory *memory, int images) {
    return memory->fixed + memory->image * images;
}

struct probe_memory {
    struct pass_memory training, evaluation; /* forward and backward; forward alone */
};
enum status probe_memory_run(struct probe_memory *memory, const struct config *config,
                             const struct ops *ops, struct pool *pool);

struct probe {
    int images;           /* of the probed batch: the whole one, or a part that fits */
    double step_seconds;  /* one super-network step of a whole batch */
    double full_seconds;  /* the same with the largest sub-network everywhere */
    double image_seconds; /* of one image: forward alone, largest sub-network */
};

/* `memory` tells how large a part of a batch is worth its memory. */
enum status probe_run(struct probe *probe, const struct config *config,
                      const struct probe_memory *memory, const struct ops *ops, struct pool *pool);

#endif
