/* What becomes of a picture before a network sees it. */
#ifndef TAPER_PICTURE_RECIPE_H
#define TAPER_PICTURE_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

enum { JITTER_BRIGHTNESS, JITTER_CONTRAST, JITTER_SATURATION, JITTERS };

struct picture_recipe {
    int height, width, channels; /* what the network reads; channels: 1 gray, 3 RGB */
    /* Evaluation: resized so that height x width is this share of it (ImageNet: 0.875), then the
     * centre; 0: the whole picture is stretched to height x width. */
    double centre;
    /* Training: a random part of the picture, with a share of its area within `scale` and a
     * width / height within `ratio` (ImageNet: 0.08..1 and 3/4..4/3). */
    double scale[2], ratio[2];
    bool flip;              /* every second picture, left to right */
    double jitter[JITTERS]; /* a factor within max(0, 1 - jitter)..1 + jitter; 0: none */
    int shrink;             /* 8: JPEG decoders may shrink by up to so much, which is fast and a
                               little different; 1: never */
};

/* Random numbers of a training picture are a pure function of these. */
struct picture_key {
    uint64_t seed, epoch; /* epoch < 2^56 */
    uint32_t image;
};

#endif
