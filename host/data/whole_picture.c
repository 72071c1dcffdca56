#include "data/whole_picture.h"
#include "data/jpeg.h"
#include "data/jpeg_write.h"
#include "data/png.h"
#include "data/raster.h"
#include "data/resample.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum { QUALITY = 90 };

static struct picture_box whole_of(const struct picture_size *picture) {
    return (struct picture_box){.height = picture->height, .width = picture->width};
}

enum status picture_check(struct picture_decoder *decoder, const uint8_t *data, size_t size,
                          const char *name, int *height, int *width) {
    struct picture_size picture;
    struct picture_window window;
    TRY(picture_open(decoder, name, data, size, &picture));
    const struct picture_box whole = whole_of(&picture);
    TRY(picture_read(decoder, &whole, picture.height, picture.width, 1, &window));
    *height = picture.height;
    *width = picture.width;
    return STATUS_OK;
}

static enum status resize(struct picture_decoder *decoder, const struct picture_size *picture,
                          int short_side, struct raster *small) {
    struct picture_window window;
    struct resampler resampler = {0};
    const struct picture_box whole = whole_of(picture);
    int shorter = picture->height < picture->width ? picture->height : picture->width;
    small->height = (int)((int64_t)picture->height * short_side / shorter);
    small->width = (int)((int64_t)picture->width * short_side / shorter);
    TRY(picture_read(decoder, &whole, small->height, small->width, 8, &window));
    small->channels = window.channels;
    TRY(allocate(&small->pixels, (size_t)small->height * (size_t)small->width,
                 (size_t)small->channels, "a smaller picture"));
    enum status status =
        resample(&resampler, &window, small->height, small->width, false, small->pixels);
    resampler_release(&resampler);
    return status;
}

static enum status shrink(struct picture_decoder *decoder, const struct picture_size *picture,
                          bool as_jpeg, const char *name, int short_side,
                          struct picture_bytes *out) {
    struct raster small = {0};
    uint8_t *file = NULL;
    size_t size = 0;
    enum status status;
    TRY_CLEANUP(resize(decoder, picture, short_side, &small));
    TRY_CLEANUP(as_jpeg ? jpeg_encode(&small, QUALITY, name, &file, &size)
                        : png_encode(&small, &file, &size));
    TRY_CLEANUP(picture_bytes_resize(out, size));
    memcpy(out->data, file, size);
done:
    free(file);
    free(small.pixels);
    return status;
}

enum status picture_shrink(struct picture_decoder *decoder, const uint8_t *data, size_t size,
                           const char *name, int short_side, struct picture_bytes *out,
                           bool *changed) {
    struct picture_size picture;
    TRY(picture_open(decoder, name, data, size, &picture));
    *changed = picture.height > short_side && picture.width > short_side;
    return *changed ? shrink(decoder, &picture, jpeg_is(data, size), name, short_side, out)
                    : STATUS_OK;
}
