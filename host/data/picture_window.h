/* A rectangle of a picture, and the part of a decoded one that it lies in. */
#ifndef TAPER_PICTURE_WINDOW_H
#define TAPER_PICTURE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct picture_size {
    int height, width, channels; /* channels as in the file: 1 gray, 3 colours, 4 CMYK */
};

/* In pixels, which are squares of side 1: the whole picture is {0, 0, height, width}. */
struct picture_box {
    double top, left, height, width;
};

struct picture_window {
    const uint8_t *pixels; /* [height] rows of [width][channels], `stride` bytes apart */
    size_t stride;
    int height, width, channels; /* 1 or 3 channels */
    struct picture_box box;      /* the wanted rectangle, in pixels of the window */
};

#endif
