#include "support_pictures.h"
#include "support/random.h"

#include <stdlib.h>

void pictures_synthetic(struct pictures *pictures, int count, int size, int channels, int classes,
                        uint64_t seed) {
    size_t pixels = (size_t)size * size * channels;
    *pictures = (struct pictures){.count = count,
                                  .height = size,
                                  .width = size,
                                  .channels = channels,
                                  .classes = classes,
                                  .pixels = malloc(pixels * (size_t)count),
                                  .labels = malloc((size_t)count * sizeof *pictures->labels)};
    for (int i = 0; i < count; i++) {
        struct random_sequence noise = random_sequence(seed, RANDOM_AUGMENT, (uint64_t)i, 0);
        pictures->labels[i] = (uint16_t)(i % classes);
        for (size_t p = 0; p < pixels; p++) {
            struct random_bits pattern =
                random_draw(1, RANDOM_HOLDOUT, i % classes, (uint32_t)p, 0);
            double value = 0.5 * (pattern.word[0] & 255) + 127 * random_uniform(&noise);
            pictures->pixels[(size_t)i * pixels + p] = (uint8_t)value;
        }
    }
}
