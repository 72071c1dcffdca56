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

void augment_picture(const struct augment *augment, const struct pictures *pictures, int image,
                     uint64_t epoch, uint8_t *out) {
    int height = pictures->height, width = pictures->width, channels = pictures->channels;
    size_t row_bytes = (size_t)width * (size_t)channels;
    const uint8_t *picture = pictures->pixels + (size_t)image * (size_t)height * row_bytes;
    struct random_sequence sequence =
        random_sequence(augment->seed, RANDOM_AUGMENT, epoch, (uint32_t)image);
    int padding = augment->crop_padding;
    uint32_t offsets = 2 * (uint32_t)padding + 1;
    int down = (int)random_below(&sequence, offsets) - padding;
    int right = clamp((int)random_below(&sequence, offsets) - padding, -width, width);
    bool mirror = random_below(&sequence, 2) == 1 && augment->flip;
    for (int y = 0; y < height; y++, out += row_bytes) {
        int from = y + down;
        if (from < 0 || from >= height) {
            memset(out, 0, row_bytes);
            continue;
        }
        shift_row(out, picture + (size_t)from * row_bytes, width, channels, right);
        if (mirror)
            mirror_row(out, width, channels);
    }
}
