/* Random crops and flips of training pictures. */
#ifndef TAPER_AUGMENT_H
#define TAPER_AUGMENT_H

#include "data/dataset.h"

struct augment {
    uint64_t seed;
    int crop_padding; /* shifts by up to so many pixels; what comes in from outside is 0 */
    bool flip;        /* mirrors every second picture, left to right */
};

/* Writes picture `image` as epoch `epoch` sees it: [height][width][channels]. A pure function of
 * its arguments. */
void augment_picture(const struct augment *augment, const struct pictures *pictures, int image,
                     uint64_t epoch, uint8_t *out);

#endif
