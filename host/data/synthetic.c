#include "data/synthetic.h"
#include "data/jpeg_write.h"
#include "support/memory.h"
#include "support/random.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 3, QUALITY = 90 };
static const double SWING = 70,
                    NOISE = 95; /* within 0..255; the noise makes the size of the file */

struct wave {
    double down, across, start; /* radians: per height, per width, at the corner */
};

static void draw_waves(uint64_t kind, struct wave waves[CHANNELS]) {
    struct random_sequence sequence = random_sequence(1, RANDOM_SYNTHETIC, kind, 0);
    for (int c = 0; c < CHANNELS; c++) {
        waves[c].down = 20 * random_uniform(&sequence);
        waves[c].across = 20 * random_uniform(&sequence);
        waves[c].start = 6.3 * random_uniform(&sequence);
    }
}

static void paint(const struct raster *raster, const struct wave waves[CHANNELS],
                  struct random_sequence noise) {
    uint8_t *next = raster->pixels;
    for (int y = 0; y < raster->height; y++)
        for (int x = 0; x < raster->width; x++) {
            double grain = NOISE * (random_uniform(&noise) - 0.5); /* of all colours alike */
            for (int c = 0; c < CHANNELS; c++) {
                double angle = waves[c].start + waves[c].down * y / raster->height +
                               waves[c].across * x / raster->width;
                *next++ = (uint8_t)(127.5 + SWING * sin(angle) + grain);
            }
        }
}

enum status synthetic_jpeg(uint64_t kind, uint32_t number, int height, int width, uint8_t **file,
                           size_t *size) {
    struct raster raster = {height, width, CHANNELS, NULL};
    struct wave waves[CHANNELS];
    TRY(allocate(&raster.pixels, (size_t)height * (size_t)width, CHANNELS, "a synthetic picture"));
    draw_waves(kind, waves);
    paint(&raster, waves, random_sequence(1, RANDOM_SYNTHETIC, kind, number + 1));
    enum status status = jpeg_encode(&raster, QUALITY, "a synthetic picture", file, size);
    free(raster.pixels);
    return status;
}
