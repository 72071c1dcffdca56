/* Binary PGM (P5) and PPM (P6) files, of 8 or 16 bits. */
#ifndef TAPER_PNM_H
#define TAPER_PNM_H

#include "data/raster.h"
#include <stdbool.h>
#include <stddef.h>

bool pnm_is(const uint8_t *data, size_t size); /* also the plain kinds, which are then refused */

/* The header alone. */
enum status pnm_size(struct picture_size *picture, const char *path, const uint8_t *data,
                     size_t size);

/* Gray or RGB; 255 is the largest value that the file names. `path` names the file in errors. */
enum status pnm_decode(struct raster *raster, const char *path, const uint8_t *data, size_t size);

#endif
