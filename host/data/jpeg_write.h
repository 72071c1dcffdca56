/* Writing JPEG files through libjpeg-turbo. */
#ifndef TAPER_JPEG_WRITE_H
#define TAPER_JPEG_WRITE_H

#include "data/raster.h"
#include <stddef.h>

/* Gray or RGB at a quality of 1 to 100, colours at half the resolution as photographs have them.
 * `name` names the picture in errors. *file: the caller's to free(). */
enum status jpeg_encode(const struct raster *raster, int quality, const char *name, uint8_t **file,
                        size_t *size);

#endif
