#include "data/augment.h"
#include "support/random.h"

#include <string.h>

static int clamp(int value, int least, int most) {
    return value < least ? least : value > most ? most : value;
}

static void shift_row(uint8_t *out, const uint8_t *row, int width, int channels, int shift) {
    size_t pixel = (size_t)channels;
    size_t left = pixel * (size_t)(shift < 0 ? -shift : 0);
    size_t right = pixel * (size_t)(shift > 0 ? shift : 0);
    size_t bytes = pixel * (size_t)width - left - right;
    memset(out, 0, left);
    memcpy(out + left, row + right, bytes);
    memset(out + left + bytes, 0, right);
}

static void mirror_row(uint8_t *row, int width, int channels) {
    for (int left = 0, right = width - 1; left < right; left++, right--) {
        for (int channel = 0; channel < channels; channel++) {
            uint8_t *a = &row[left * channels + channel], *b = &row[right * channels + channel];
            uint8_t value = *a;
            *a = *b;
            *b = value;
        }
    }
}

static enum status augment(const void *source, void *work, const struct picture_view *view,
                           uint8_t *out, int *label) {
    (void)work;
    const struct augmented_pictures *from = source;
    const struct pictures *pictures = from->pictures;
    int height = pictures->height, width = pictures->width, channels = pictures->channels;
    size_t row_bytes = (size_t)width * (size_t)channels;
    const uint8_t *picture = pictures->pixels + (size_t)view->image * (size_t)height * row_bytes;
    struct random_sequence sequence =
        random_sequence(view->seed, RANDOM_AUGMENT, view->epoch, (uint32_t)view->image);
    uint32_t offsets = 2 * (uint32_t)from->crop_padding + 1;
    int down = (int)random_below(&sequence, offsets) - from->crop_padding;
    int right = clamp((int)random_below(&sequence, offsets) - from->crop_padding, -width, width);
    bool mirror = random_below(&sequence, 2) == 1 && from->flip;
    for (int y = 0; y < height; y++, out += row_bytes) {
        int from_y = y + down;
        if (from_y < 0 || from_y >= height) {
            memset(out, 0, row_bytes);
            continue;
        }
        shift_row(out, picture + (size_t)from_y * row_bytes, width, channels, right);
        if (mirror)
            mirror_row(out, width, channels);
    }
    *label = pictures->labels[view->image];
    return STATUS_OK;
}

struct picture_feed augmented_feed(const struct augmented_pictures *from) {
    const struct pictures *pictures = from->pictures;
    return (struct picture_feed){.picture_bytes = (size_t)pictures->height *
                                                  (size_t)pictures->width *
                                                  (size_t)pictures->channels,
                                 .source = from,
                                 .make = augment};
}
