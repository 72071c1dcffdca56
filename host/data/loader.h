/* Batches of augmented training pictures, made ahead by a thread of its own.
 *
 * What batch b of epoch e holds is a pure function of (seed, e, b): shuffled order, crops and flips
 * come from counter-based random numbers keyed by epoch and image. The last batch of an epoch that
 * would not be full is left out.
 */
#ifndef TAPER_LOADER_H
#define TAPER_LOADER_H

#include "data/dataset.h"
#include "ops.h"

struct loader;

struct loader_options {
    const struct pictures *pictures; /* outlives the loader */
    const int *indices;              /* images to use; outlives the loader */
    int count;
    int batch_images;
    uint64_t seed;
    int crop_padding;
    bool flip;
    const struct memory *memory; /* whose shared memory batches are made in: a device's copies of
                                    them are fast; NULL: plain memory */
};

struct loaded_batch {
    const uint8_t
        *pictures; /* [batch_images][height][width][channels], valid until the next call */
    const int *labels;
};

enum status loader_create(struct loader **loader, const struct loader_options *options);
void loader_release(struct loader *loader);      /* at any time; NULL is fine */
int loader_batches(const struct loader *loader); /* per epoch */

/* Batch number `step` counted from the start of training (epoch = step / batches). Steps asked in
 * order are ready ahead; any other order works, without the head start. */
enum status loader_batch(struct loader *loader, int64_t step, struct loaded_batch *batch);
double loader_waited(const struct loader *loader); /* seconds that loader_batch() blocked so far */

#endif
