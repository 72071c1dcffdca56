/* Gray of colours, by the luma of Rec. 601. */
#ifndef TAPER_GRAY_H
#define TAPER_GRAY_H

#include <stdint.h>

/* rgb: three values. The weights are 0.299, 0.587 and 0.114 in 65536ths; rounded. */
static inline uint8_t gray_of(const uint8_t *rgb) {
    return (uint8_t)((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16);
}

#endif
