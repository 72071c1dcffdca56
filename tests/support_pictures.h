/* Pictures for tests that need no files: each class a pattern of its own under noise, so that a
 * network can learn it in a few steps. */
#ifndef TAPER_SUPPORT_PICTURES_H
#define TAPER_SUPPORT_PICTURES_H

#include "data/dataset.h"

/* pictures_release() frees them. */
void pictures_synthetic(struct pictures *pictures, int count, int size, int channels, int classes,
                        uint64_t seed);

#endif
