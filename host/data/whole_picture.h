/* Whole picture files: are they right, and smaller versions of them. The decoder is the calling
 * thread's, for one picture after the other. */
#ifndef TAPER_WHOLE_PICTURE_H
#define TAPER_WHOLE_PICTURE_H

#include "data/picture_decoder.h"
#include "data/picture_source.h"

/* Decodes the whole picture and drops it; `name` names it in errors. */
enum status picture_check(struct picture_decoder *decoder, const uint8_t *data, size_t size,
                          const char *name, int *height, int *width);

/* Writes the picture anew, its shorter side `short_side` pixels long: a JPEG as JPEG of quality 90,
 * others as PNG. *changed false: it is not larger than that, and stays as it is. */
enum status picture_shrink(struct picture_decoder *decoder, const uint8_t *data, size_t size,
                           const char *name, int short_side, struct picture_bytes *out,
                           bool *changed);

#endif
