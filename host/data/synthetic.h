/* JPEG files where there are no photographs: for estimates and tests. */
#ifndef TAPER_SYNTHETIC_H
#define TAPER_SYNTHETIC_H

#include "support/status.h"
#include <stddef.h>
#include <stdint.h>

/* Coloured waves, by `kind`, under noise, by `number` too; height and width in pixels. At 375x500
 * the file has about the bytes of ImageNet's mean picture, which its decoding time follows.
 * *file: the caller's to free(). */
enum status synthetic_jpeg(uint64_t kind, uint32_t number, int height, int width, uint8_t **file,
                           size_t *size);

#endif
