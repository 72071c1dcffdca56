/* How fast training pictures are made here: those of the source, or synthetic JPEG files where they
 * are missing. */
#ifndef TAPER_PROBE_LOADER_H
#define TAPER_PROBE_LOADER_H

#include "config/config.h"
#include "support/pool.h"

enum { MISSING_SENTENCE = 512 };

struct loader_probe {
    double images_per_second; /* with so many: */
    int threads;              /* 0: not measured, as idx files are missing */
    int train_images;         /* what a training reads in an epoch; 0: the pictures are missing, */
    char missing[MISSING_SENTENCE]; /* and why; else empty */
    int pictures;      /* of the training part, with the hold-out; 0: missing, or in memory (idx) */
    double file_bytes; /* of a mean picture, synthetic or not; 0: in memory */
};

/* Reads and decodes for about two seconds. Errors: pictures that a run would refuse. */
enum status loader_probe_run(struct loader_probe *probe, const struct config *config,
                             const struct ops *ops, struct pool *pool);

#endif
