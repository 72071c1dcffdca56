#include "data/raster.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>

/* The old pixels that make new pixel `at` of a row or column, by a triangle as wide as the larger
 * of an old and a new pixel on either side: linear interpolation when it grows, an average without
 * aliasing when it shrinks, each pixel itself when the sizes agree. */
struct taps {
    int first, end;
    double centre, radius, sum;
};

static double weight_of(const struct taps *taps, int pixel) {
    return fmax(0, 1 - fabs(pixel + 0.5 - taps->centre) / taps->radius);
}

static struct taps taps_of(int at, int old, int new) {
    double scale = (double)old / new;
    struct taps taps = {.centre = (at + 0.5) * scale, .radius = fmax(1, scale)};
    taps.first = (int)fmax(0, floor(taps.centre - taps.radius));
    taps.end = (int)fmin(old, ceil(taps.centre + taps.radius));
    for (int i = taps.first; i < taps.end; i++)
        taps.sum += weight_of(&taps, i);
    return taps;
}

/* rows[old height][new width][channels] */
static void resize_rows(const struct raster *from, int width, float *rows) {
    int channels = from->channels;
    for (int x = 0; x < width; x++) {
        struct taps taps = taps_of(x, from->width, width);
        for (int y = 0; y < from->height; y++) {
            const uint8_t *row = from->pixels + (size_t)y * from->width * channels;
            for (int c = 0; c < channels; c++) {
                double value = 0;
                for (int i = taps.first; i < taps.end; i++)
                    value += weight_of(&taps, i) * row[(size_t)i * channels + c];
                rows[((size_t)y * width + x) * channels + c] = (float)(value / taps.sum);
            }
        }
    }
}

/* A pixel of `channels` values as one of `wanted`. */
static void put_pixel(const double *values, int channels, int wanted, uint8_t *pixel) {
    double gray =
        channels == 1 ? values[0] : 0.299 * values[0] + 0.587 * values[1] + 0.114 * values[2];
    for (int c = 0; c < wanted; c++)
        pixel[c] = (uint8_t)lround(wanted == channels ? values[c] : gray);
}

static void resize_columns(const float *rows, const struct raster *from, const struct raster *to) {
    int channels = from->channels;
    size_t row = (size_t)to->width * channels;
    for (int y = 0; y < to->height; y++) {
        struct taps taps = taps_of(y, from->height, to->height);
        for (int x = 0; x < to->width; x++) {
            double values[3] = {0};
            for (int i = taps.first; i < taps.end; i++)
                for (int c = 0; c < channels; c++)
                    values[c] += weight_of(&taps, i) / taps.sum *
                                 (double)rows[(size_t)i * row + (size_t)x * channels + c];
            put_pixel(values, channels, to->channels,
                      to->pixels + ((size_t)y * to->width + x) * to->channels);
        }
    }
}

enum status raster_fit(const struct raster *from, const struct raster *to) {
    float *rows;
    if (to->channels != 1 && to->channels != 3)
        return fail(STATUS_USAGE,
                    "the network reads pictures of %d channels; a file gives one or three",
                    to->channels);
    TRY(allocate(&rows, (size_t)from->height * to->width, (size_t)from->channels * sizeof *rows,
                 "a picture"));
    resize_rows(from, to->width, rows);
    resize_columns(rows, from, to);
    free(rows);
    return STATUS_OK;
}
