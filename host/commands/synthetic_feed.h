/* A loader's pictures where a data set is missing: JPEG files of ImageNet's size, in memory. */
#ifndef TAPER_SYNTHETIC_FEED_H
#define TAPER_SYNTHETIC_FEED_H

#include "data/loader.h"
#include "data/picture_recipe.h"

enum { SYNTHETIC_PICTURES = 64, SYNTHETIC_HEIGHT = 375, SYNTHETIC_WIDTH = 500 };

struct synthetic_pictures {
    struct picture_recipe recipe; /* the caller's */
    uint8_t *files[SYNTHETIC_PICTURES];
    size_t sizes[SYNTHETIC_PICTURES];
};

/* Starts as zeros but for the recipe; there is something to release also on failure. */
enum status synthetic_pictures_make(struct synthetic_pictures *pictures);
void synthetic_pictures_release(struct synthetic_pictures *pictures);

double synthetic_pictures_mean(const struct synthetic_pictures *pictures); /* bytes of a file */

/* Borrows `pictures`; numbers are 0 to SYNTHETIC_PICTURES - 1. */
struct picture_feed synthetic_feed(const struct synthetic_pictures *pictures);

#endif
