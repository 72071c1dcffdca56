/* Resizing by a triangle filter, as Pillow's Image.resize(size, BILINEAR, box) does it: linear
 * interpolation where a picture grows, and where it shrinks the triangle is as much wider, so that
 * every pixel counts. Pixels around the box count too where the triangle reaches them. */
#ifndef TAPER_RESAMPLE_H
#define TAPER_RESAMPLE_H

#include "data/picture_window.h"
#include "support/status.h"
#include <stdbool.h>

/* Scratch memory that grows to what pictures need; starts as {0}; of one thread. */
struct resampler {
    float *memory;
    size_t room; /* in floats */
};
void resampler_release(struct resampler *resampler);

/* How far around a box of that length a triangle reaches when `out` pixels are made of it. */
double resample_reach(double length, int out);

/* The window's box as out[height][width][channels of the window], mirrored left to right if wanted.
 * The box is larger than nothing and its centres lie in the window. */
enum status resample(struct resampler *resampler, const struct picture_window *window, int height,
                     int width, bool mirror, uint8_t *out);

#endif
