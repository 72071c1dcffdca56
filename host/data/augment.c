#include "data/augment.h"
#include "support/random.h"

#include <string.h>

void augment_picture(const struct augment *augment, const struct pictures *pictures, int image,
                     uint64_t epoch, uint8_t *into) {
    int height = pictures->height, width = pictures->width, channels = pictures->channels;
    const uint8_t *from = pictures->pixels + (size_t)image * height * width * channels;
    struct random_sequence random =
        random_sequence(augment->seed, RANDOM_AUGMENT, epoch, (uint32_t)image);
    uint32_t places = 2 * (uint32_t)augment->crop_padding + 1;
    int down = (int)random_below(&random, places) - augment->crop_padding;
    int right = (int)random_below(&random, places) - augment->crop_padding;
    bool mirror = augment->flip && random_below(&random, 2) == 1;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int sy = y + down, sx = (mirror ? width - 1 - x : x) + right;
            uint8_t *pixel = into + ((size_t)y * width + x) * channels;
            if (sy < 0 || sy >= height || sx < 0 || sx >= width)
                memset(pixel, 0, (size_t)channels);
            else
                memcpy(pixel, from + ((size_t)sy * width + sx) * channels, (size_t)channels);
        }
}
