/* Any bytes as an encoded picture: refused with one line, or made into a training picture and an
 * evaluation picture, the same again by a decoder that had other pictures before. The first byte
 * says how large, in how many channels, and how much JPEG decoders may shrink. */
#include "data/picture_decoder.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 16, MOST_SIDE = 32 };

static enum status make(const struct picture_recipe *recipe, const struct picture_key *key,
                        const uint8_t *data, size_t size, uint8_t *out) {
    static struct picture_decoder *decoder;
    if (decoder == NULL && picture_decoder_create(&decoder, MOST_PIXELS) != STATUS_OK)
        abort();
    failure_clear();
    enum status status = picture_make(decoder, recipe, key, "it", data, size, out);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL ||
        strchr(picture_warning(decoder), '\n') != NULL)
        abort();
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t made[MOST_SIDE * MOST_SIDE * 3], again[sizeof made];
    if (size == 0)
        return 0;
    const struct picture_recipe recipe = {.height = 1 + (data[0] & MOST_SIDE - 1),
                                          .width = 1 + (data[0] >> 2 & MOST_SIDE - 1),
                                          .channels = data[0] & 1 ? 3 : 1,
                                          .centre = 0.875,
                                          .scale = {0.08, 1},
                                          .ratio = {3.0 / 4, 4.0 / 3},
                                          .flip = true,
                                          .jitter = {0.4, 0.4, 0.4},
                                          .shrink = 1 << (data[0] >> 6)};
    const struct picture_key key = {1, 2, (uint32_t)size};
    size_t bytes = (size_t)(recipe.height * recipe.width * recipe.channels);
    enum status status = make(&recipe, &key, data + 1, size - 1, made);
    make(&recipe, NULL, data + 1, size - 1, again);
    if (make(&recipe, &key, data + 1, size - 1, again) != status ||
        (status == STATUS_OK && memcmp(made, again, bytes) != 0))
        abort();
    return 0;
}
