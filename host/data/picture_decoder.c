#include "data/picture_decoder.h"
#include "data/crop.h"
#include "data/jitter.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "data/pnm.h"
#include "data/raster.h"
#include "data/resample.h"
#include "support/memory.h"

#include <stdlib.h>

enum kind { JPEG, PNG, PNM };

struct picture_decoder {
    size_t most_pixels;
    enum kind kind;
    const char *name;
    const uint8_t *data;
    size_t size;
    struct picture_size picture;
    struct jpeg_decoder *jpeg;
    struct raster raster; /* a decoded picture that is no JPEG */
    struct resampler resampler;
    uint8_t *made; /* a resampled one whose channels are not those wanted */
    size_t room;   /* of made */
};

enum status picture_decoder_create(struct picture_decoder **made, size_t most_pixels) {
    TRY(allocate(made, 1, sizeof **made, "a picture decoder"));
    (*made)->most_pixels = most_pixels;
    enum status status = jpeg_decoder_create(&(*made)->jpeg);
    if (status != STATUS_OK) {
        free(*made);
        *made = NULL;
    }
    return status;
}

void picture_decoder_release(struct picture_decoder *decoder) {
    if (decoder == NULL)
        return;
    jpeg_decoder_release(decoder->jpeg);
    resampler_release(&decoder->resampler);
    free(decoder->raster.pixels);
    free(decoder->made);
    free(decoder);
}

const char *picture_warning(const struct picture_decoder *decoder) {
    return decoder->kind == JPEG ? jpeg_warning(decoder->jpeg) : "";
}

/* ------------------------------------------------------------------------------- one picture */

static enum status open_other(struct picture_decoder *decoder) {
    const char *name = decoder->name;
    struct picture_size *picture = &decoder->picture;
    if (png_is(decoder->data, decoder->size)) {
        decoder->kind = PNG;
        TRY(png_size(picture, name, decoder->data, decoder->size));
    } else if (pnm_is(decoder->data, decoder->size)) {
        decoder->kind = PNM;
        TRY(pnm_size(picture, name, decoder->data, decoder->size));
    } else {
        return fail(STATUS_USAGE, "%s is not a JPEG, PNG or PNM picture", name);
    }
    if ((size_t)picture->height * (size_t)picture->width > decoder->most_pixels)
        return fail(STATUS_USAGE, "%s announces %d x %d pixels; at most %zu are read", name,
                    picture->width, picture->height, decoder->most_pixels);
    return STATUS_OK;
}

enum status picture_open(struct picture_decoder *decoder, const char *name, const uint8_t *data,
                         size_t size, struct picture_size *picture) {
    decoder->name = name;
    decoder->data = data;
    decoder->size = size;
    decoder->kind = JPEG;
    if (jpeg_is(data, size))
        TRY(jpeg_open(decoder->jpeg, name, data, size, decoder->most_pixels, &decoder->picture));
    else
        TRY(open_other(decoder));
    *picture = decoder->picture;
    return STATUS_OK;
}

enum status picture_read(struct picture_decoder *decoder, const struct picture_box *box, int height,
                         int width, int shrink, struct picture_window *window) {
    struct raster *raster = &decoder->raster;
    if (decoder->kind == JPEG)
        return jpeg_read(decoder->jpeg, box, height, width, shrink, window);
    free(raster->pixels);
    raster->pixels = NULL;
    TRY(decoder->kind == PNG ? png_decode(raster, decoder->name, decoder->data, decoder->size)
                             : pnm_decode(raster, decoder->name, decoder->data, decoder->size));
    *window = raster_window(raster);
    window->box = *box;
    return STATUS_OK;
}

/* ----------------------------------------------------------------------------------- recipes */

static enum status make_room(struct picture_decoder *decoder, size_t bytes) {
    if (bytes <= decoder->room)
        return STATUS_OK;
    free(decoder->made);
    decoder->room = 0;
    TRY(allocate(&decoder->made, bytes, 1, decoder->name));
    decoder->room = bytes;
    return STATUS_OK;
}

/* The window's box in RGB for the colours to be changed, then in the channels wanted. */
static enum status finish(struct picture_decoder *decoder, const struct picture_recipe *recipe,
                          const struct picture_window *window, struct random_sequence *sequence,
                          uint8_t *out) {
    size_t pixels = (size_t)recipe->height * (size_t)recipe->width;
    bool mirror = sequence != NULL && random_below(sequence, 2) == 1 && recipe->flip;
    bool direct = window->channels == recipe->channels;
    TRY(make_room(decoder, direct ? 0 : pixels * (size_t)window->channels));
    uint8_t *made = direct ? out : decoder->made;
    TRY(resample(&decoder->resampler, window, recipe->height, recipe->width, mirror, made));
    if (sequence != NULL)
        jitter_random(recipe, sequence, made, pixels, window->channels);
    if (!direct)
        return raster_convert(made, window->channels, out, recipe->channels, pixels);
    return STATUS_OK;
}

enum status picture_make(struct picture_decoder *decoder, const struct picture_recipe *recipe,
                         const struct picture_key *key, const char *name, const uint8_t *data,
                         size_t size, uint8_t *out) {
    struct picture_size picture;
    struct picture_window window;
    struct random_sequence sequence;
    TRY(picture_open(decoder, name, data, size, &picture));
    if (key != NULL)
        sequence = random_sequence(key->seed, RANDOM_AUGMENT, key->epoch, key->image);
    struct picture_box box =
        key != NULL ? crop_random(recipe, &picture, &sequence) : crop_centre(recipe, &picture);
    TRY(picture_read(decoder, &box, recipe->height, recipe->width, recipe->shrink, &window));
    return finish(decoder, recipe, &window, key != NULL ? &sequence : NULL, out);
}
