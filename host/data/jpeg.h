/* JPEG files through libjpeg-turbo: only the wanted part of a picture, shrunk while it is decoded.
 *
 * A decoder belongs to one thread and serves one picture after the other: first the header, then,
 * once the caller knows which part it wants, the pixels. Errors are one sentence with the picture's
 * name, and the decoder can go on with the next picture.
 */
#ifndef TAPER_JPEG_H
#define TAPER_JPEG_H

#include "data/picture_window.h"
#include "support/status.h"
#include <stdbool.h>

struct jpeg_decoder;
enum status jpeg_decoder_create(struct jpeg_decoder **decoder);
void jpeg_decoder_release(struct jpeg_decoder *decoder); /* NULL is fine */

bool jpeg_is(const uint8_t *data, size_t size); /* by the first marker */

/* The header. `name` and `data` must stay until jpeg_read() is done. Refused before memory is
 * taken: more than `most_pixels`, more pixels than so few bytes can hold, and, as Pillow does, a
 * file without its end-of-image marker: it is truncated. */
enum status jpeg_open(struct jpeg_decoder *decoder, const char *name, const uint8_t *data,
                      size_t size, size_t most_pixels, struct picture_size *picture);

/* RGB of the box of the picture opened last, which lies within it, with enough around it to
 * resample it to height x width. `shrink`: 1, or more where the decoder may shrink the picture by
 * 2, 4, or up to 8, so far as the box stays a quarter larger than height x width; gray is repeated,
 * CMYK converted as Pillow does. The window's pixels are the decoder's, valid until its next call.
 */
enum status jpeg_read(struct jpeg_decoder *decoder, const struct picture_box *box, int height,
                      int width, int shrink, struct picture_window *window);

/* The first warning of libjpeg about the picture opened last, for example about corrupt data that
 * it got over; "": none. */
const char *jpeg_warning(const struct jpeg_decoder *decoder);

#endif
