/* One decoded picture, and how it becomes one that a network reads. */
#ifndef TAPER_RASTER_H
#define TAPER_RASTER_H

#include "support/status.h"
#include <stdint.h>

struct raster {
    int height, width, channels;
    uint8_t *pixels; /* [height][width][channels]; the owner's to free() */
};

/* Resizes to height x width of `to` (the shape is not kept: nothing is cut off), makes gray of
 * colours by the luma of Rec. 601, or repeats gray, and fills to->pixels. Only pictures of one or
 * three channels are made. */
enum status raster_fit(const struct raster *from, const struct raster *to);

#endif
