#include "data/raster.h"
#include "data/gray.h"
#include "data/resample.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

struct picture_window raster_window(const struct raster *raster) {
    return (struct picture_window){.pixels = raster->pixels,
                                   .stride = (size_t)raster->width * (size_t)raster->channels,
                                   .height = raster->height,
                                   .width = raster->width,
                                   .channels = raster->channels,
                                   .box = {.height = raster->height, .width = raster->width}};
}

enum status raster_convert(const uint8_t *from, int channels, uint8_t *to, int wanted,
                           size_t pixels) {
    if (wanted != 1 && wanted != 3)
        return fail(STATUS_USAGE,
                    "the network reads pictures of %d channels; a file gives one or three", wanted);
    if (channels == wanted)
        memcpy(to, from, pixels * (size_t)channels);
    for (size_t i = 0; i < pixels && channels < wanted; i++)
        memset(to + 3 * i, from[i], 3);
    for (size_t i = 0; i < pixels && channels > wanted; i++)
        to[i] = gray_of(from + 3 * i);
    return STATUS_OK;
}

enum status raster_fit(const struct raster *from, const struct raster *to) {
    struct resampler resampler = {0};
    const struct picture_window window = raster_window(from);
    size_t pixels = (size_t)to->height * (size_t)to->width;
    uint8_t *made;
    TRY(allocate(&made, pixels, (size_t)from->channels, "a picture"));
    enum status status = resample(&resampler, &window, to->height, to->width, false, made);
    if (status == STATUS_OK)
        status = raster_convert(made, from->channels, to->pixels, to->channels, pixels);
    resampler_release(&resampler);
    free(made);
    return status;
}
