/* A rectangle of a picture, and the part of a decoded one that it lies in. */
#ifndef TAPER_PICTURE_WINDOW_H
#define TAPER_PICTURE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct picture_size {
    int height, width, channels; /* channels as in the file: 1 gray, 3 colours, 4 CMYK */
};

/* In pixels, which are squares of side 1: the picture is {0, 0, height, width}. */
struct picture_box {
    double top, left, height, width;
};

struct picture_window {
    const uint8_t *pixels; /* [height] rows of [width][channels], `stride` bytes apart; after the
                              last one WINDOW_SLACK more bytes may be read */
    int height, width, channels;
    size_t stride;
    struct picture_box box; /* the wanted rectangle, in pixels of the window */
};

enum { WINDOW_SLACK = 3 };

#endif
