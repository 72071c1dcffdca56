/* The pictures of a run, in every resolution of its network, wherever they come from: in memory
 * (idx), or encoded in files of a source (folder, shards, pack). Training pictures of a source are
 * decoded when they are wanted; those that evaluate a network again and again are decoded once. */
#ifndef TAPER_PICTURE_SETS_H
#define TAPER_PICTURE_SETS_H

#include "config/config.h"
#include "data/augment.h"
#include "data/encoded_feed.h"
#include "training/evaluation.h"

struct picture_sets {
    struct split split;                         /* the training part's pictures by number */
    struct picture_feed feeds[MAX_RESOLUTIONS]; /* those numbers, as training sees them */
    int threads;                                /* that make them */
    /* Drawn from training and hold-out pictures, the same ones for each resolution. */
    struct image_set calibration[MAX_RESOLUTIONS], scored[MAX_RESOLUTIONS];

    struct picture_source *source; /* NULL: all pictures are in memory */
    struct bad_pictures *bad;      /* of the source */
    struct encoded_pictures encoded[MAX_RESOLUTIONS];
    struct pictures pictures; /* in memory: the whole part */
    struct augmented_pictures augmented;
    int *drawn[2]; /* numbers of the two image sets */
    int drawn_count[2];
    struct pictures decoded[2][MAX_RESOLUTIONS]; /* of a source: their pictures */
};

/* Starts as zeros, and does not move from then on; there is something to release also on failure.
 * Errors name file or key; pictures that are not what the network reads are one. No picture of a
 * file is decoded: that is enough for a training. */
enum status picture_sets_open(struct picture_sets *sets, const struct config *config,
                              struct pool *pool);
/* The image sets of a resolution, decoded when they are first wanted; they stay: images x height x
 * width x channels bytes each. */
enum status picture_sets_decode(struct picture_sets *sets, int resolution, struct pool *pool);
void picture_sets_release(struct picture_sets *sets);

/* Threads that make training pictures of files. */
int picture_sets_decoders(const struct config *config, const struct pool *pool);

/* The test part of a source of files, and what is bad of it: both are the caller's to release also
 * on failure. */
enum status picture_sets_open_test(struct picture_source **source, struct bad_pictures **bad,
                                   const struct config *config, struct pool *pool);
/* The test part, all in memory, as the evaluation of a network with pictures of this size sees it.
 * source, bad: as they were opened; NULL for pictures in memory. */
enum status picture_sets_test(struct pictures *pictures, const struct picture_source *source,
                              struct bad_pictures *bad, const struct config *config,
                              struct resolution size, struct pool *pool);

/* How a picture file becomes one that a network of the run reads; a run on pictures in memory (idx)
 * knows no cut: there the whole file is stretched. */
struct picture_recipe picture_sets_recipe(const struct config *config, struct resolution size);

#endif
