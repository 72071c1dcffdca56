/* Random crop and flip of one picture, a pure function of (seed, epoch, image). */
#ifndef TAPER_AUGMENT_H
#define TAPER_AUGMENT_H

#include "data/dataset.h"

struct augment {
    int crop_padding;
    bool flip;
    uint64_t seed;
};

/* into: one picture's bytes. */
void augment_picture(const struct augment *augment, const struct pictures *pictures, int image,
                     uint64_t epoch, uint8_t *into);

#endif
