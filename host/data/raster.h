/* One decoded picture, and how it becomes one that a network reads. */
#ifndef TAPER_RASTER_H
#define TAPER_RASTER_H

#include "data/picture_window.h"
#include "support/status.h"
#include <stdint.h>

struct raster {
    int height, width, channels;
    uint8_t *pixels; /* [height][width][channels]; the owner's to free() */
};

/* The whole of it; the pixels stay the raster's. */
struct picture_window raster_window(const struct raster *raster);

/* Resizes to height x width of `to` (the shape is not kept: nothing is cut off), converts the
 * channels and fills to->pixels. */
enum status raster_fit(const struct raster *from, const struct raster *to);

/* [pixels][channels] to [pixels][wanted]: makes gray of colours by the luma of Rec. 601, or repeats
 * gray. Only pictures of one or three channels are made. */
enum status raster_convert(const uint8_t *from, int channels, uint8_t *to, int wanted,
                           size_t pixels);

#endif
