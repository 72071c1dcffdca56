/* PNG files through libpng. Pixels are 8 bits, rows from the top. */
#ifndef TAPER_PNG_H
#define TAPER_PNG_H

#include "data/raster.h"
#include <stdbool.h>
#include <stddef.h>

bool png_is(const uint8_t *data, size_t size); /* by the signature */

/* The header alone; channels as png_decode() gives them. */
enum status png_size(struct picture_size *picture, const char *path, const uint8_t *data,
                     size_t size);

/* Gray or RGB, as the file has it; palettes become RGB, 16 bits become 8, transparent pixels lie
 * over black. `path` names the file in errors. */
enum status png_decode(struct raster *raster, const char *path, const uint8_t *data, size_t size);

/* *file: the caller's to free(). channels: gray, gray and alpha, RGB, RGBA. */
enum status png_encode(const struct raster *raster, uint8_t **file, size_t *size);

#endif
