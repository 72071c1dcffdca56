/* JPEG files of kinds that Pillow does not write, made by libjpeg. */
#ifndef TAPER_SUPPORT_JPEG_H
#define TAPER_SUPPORT_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jpeg_kind {
    int channels;   /* of the pixels: 1, 3 (RGB), 4 (CMYK, 255 is no ink) */
    bool ycck;      /* CMYK is stored as YCCK */
    bool rgb;       /* RGB is stored as it is */
    int samples[2]; /* of luma to one of chroma, across and down; 0: 1 */
    int restart;    /* a restart marker after so many MCUs; 0: none */
    bool apart;     /* one scan for each channel */
    bool progressive;
    bool arithmetic;
    bool many_scans; /* progressive, gray: 127 scans of single coefficients' single bits */
};

enum { JPEG_KINDS = 18 };
extern const struct jpeg_kind jpeg_kinds[JPEG_KINDS]; /* without many_scans */

/* The caller's to free(). Pixels are at quality 95. */
uint8_t *jpeg_of(const struct jpeg_kind *kind, const uint8_t *pixels, int height, int width,
                 size_t *size);

#endif
