/* vectors/pictures.safetensors, which make_picture_vectors.py writes. */
#ifndef TAPER_SUPPORT_VECTORS_H
#define TAPER_SUPPORT_VECTORS_H

#include "data/picture_window.h"
#include "support/safetensors.h"

/* Read when first asked; a test that asks for a name which is not there fails. */
const struct named_tensor *vector_named(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void vectors_release(void);

/* The whole of a picture [height][width][channels]. */
struct picture_window vector_window(const struct named_tensor *picture);

#endif
