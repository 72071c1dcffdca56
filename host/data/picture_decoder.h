/* Encoded pictures as a network reads them: JPEG, PNG, PGM and PPM, told apart by what is inside.
 *
 * A decoder is the scratch memory of one thread: any number of threads decode at the same time,
 * each with its own. An error is one sentence that names the picture, with STATUS_USAGE where the
 * picture is to blame; the decoder goes on with the next picture.
 */
#ifndef TAPER_PICTURE_DECODER_H
#define TAPER_PICTURE_DECODER_H

#include "data/picture_recipe.h"
#include "data/picture_window.h"
#include "support/status.h"

struct picture_decoder;

/* 2^26: ImageNet's largest picture has 61 million pixels. */
enum { PICTURE_MOST_PIXELS = 1 << 26 };

/* Pictures of more than `most_pixels` are refused before memory is taken for them. */
enum status picture_decoder_create(struct picture_decoder **decoder, size_t most_pixels);
void picture_decoder_release(struct picture_decoder *decoder); /* NULL is fine */

/* out[height][width][channels of the recipe]: with a key as training sees the picture then, a pure
 * function of all arguments; without one (NULL) as evaluation does. */
enum status picture_make(struct picture_decoder *decoder, const struct picture_recipe *recipe,
                         const struct picture_key *key, const char *name, const uint8_t *data,
                         size_t size, uint8_t *out);

/* The two steps below it. picture_open() reads the header; `name` and `data` stay until
 * picture_read() is done, which decodes what a box within the picture needs to become
 * height x width; shrink as in the recipe. The window is the decoder's, until its next call. */
enum status picture_open(struct picture_decoder *decoder, const char *name, const uint8_t *data,
                         size_t size, struct picture_size *picture);
enum status picture_read(struct picture_decoder *decoder, const struct picture_box *box, int height,
                         int width, int shrink, struct picture_window *window);

/* What the library got over in the picture opened last, as "Corrupt JPEG data: ..."; "": nothing.
 * Pictures with a warning are taken, as Pillow does. */
const char *picture_warning(const struct picture_decoder *decoder);

#endif
