/* Batches of training pictures, made ahead by threads of its own.
 *
 * What batch b of epoch e holds is a pure function of (seed, e, b), for any number of threads and
 * of ranks that share it out: order, crops and flips come from counter-based random numbers keyed
 * by epoch and image. The last batch of an epoch that would not be full is left out.
 */
#ifndef TAPER_LOADER_H
#define TAPER_LOADER_H

#include "ops.h"
#include "support/status.h"
#include <stddef.h>
#include <stdint.h>

/* How one image is seen in one epoch. */
struct picture_view {
    uint64_t seed, epoch;
    int image;
};

/* Where single pictures come from. All functions may be called by several threads at a time. */
struct picture_feed {
    size_t picture_bytes;
    const void *source; /* the feed's own; outlives the loader */
    /* Working memory of one thread; both NULL where none is needed. end(NULL) does nothing. */
    enum status (*begin)(const void *source, void **work);
    void (*end)(void *work);
    /* Fills picture[picture_bytes] and *label: a pure function of the view. */
    enum status (*make)(const void *source, void *work, const struct picture_view *view,
                        uint8_t *picture, int *label);
};

struct loader;

struct loader_options {
    struct picture_feed feed;
    /* Where pictures have several sizes: the feed of a step (epoch is its fraction), a pure
     * function that any thread may call. `feed` is that of the largest ones, whose working memory
     * serves all. NULL: always `feed`. */
    const struct picture_feed *(*feed_of)(const void *context, int64_t step, double epoch);
    const void *context;
    const int *indices; /* images to use; outlives the loader */
    int count;
    int batch_images;
    int own_first, own_images; /* of a batch only these are made: the other ranks make theirs.
                                  own_images 0: all */
    int threads;               /* 0: one */
    uint64_t seed;
    const struct memory *memory; /* whose shared memory batches are made in: a device's copies of
                                    them are fast; NULL: plain memory */
};

struct loaded_batch {
    const uint8_t
        *pictures; /* [own_images][picture_bytes of its feed], valid until the next call */
    const int *labels;
};

/* Whether a batch can be made of the images: what loader_create() looks at first. */
enum status loader_check(const struct loader_options *options);
enum status loader_create(struct loader **loader, const struct loader_options *options);
void loader_release(struct loader *loader);      /* at any time; NULL is fine */
int loader_batches(const struct loader *loader); /* per epoch */

/* Batch number `step` counted from the start of training (epoch = step / batches). Steps asked in
 * order are ready ahead; any other order works, without the head start. A picture that cannot be
 * made is an error of its batch. */
enum status loader_batch(struct loader *loader, int64_t step, struct loaded_batch *batch);
double loader_waited(const struct loader *loader); /* seconds that loader_batch() blocked so far */

#endif
