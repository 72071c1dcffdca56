/* Random crops and flips of training pictures that lie in memory. */
#ifndef TAPER_AUGMENT_H
#define TAPER_AUGMENT_H

#include "data/dataset.h"
#include "data/loader.h"
#include <stdbool.h>

struct augmented_pictures {
    const struct pictures *pictures;
    int crop_padding; /* shifts by up to so many pixels; what comes in from outside is 0 */
    bool flip;        /* mirrors every second picture, left to right */
};

/* Feeds a loader with [height][width][channels] of a picture. Borrows `from`. */
struct picture_feed augmented_feed(const struct augmented_pictures *from);

#endif
