/* How fast and how large a super-network's pass is here, measured on synthetic pictures. */
#ifndef TAPER_PROBE_H
#define TAPER_PROBE_H

#include "config/config.h"
#include "support/pool.h"

struct probe {
    int images;           /* of the probed batch: the whole one, or a part that fits */
    double bytes;         /* of the pass of a whole batch */
    double step_seconds;  /* one super-network step of a whole batch */
    double full_seconds;  /* the same with the largest sub-network everywhere */
    double image_seconds; /* forward alone, largest sub-network */
};

enum status probe_run(struct probe *probe, const struct config *config, const struct ops *ops,
                      struct pool *pool);

#endif
