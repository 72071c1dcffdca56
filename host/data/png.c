#include "data/png.h"
#include "support/memory.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

/* Checked before memory is taken for what a damaged header announces. */
enum { MOST_PIXELS = 1 << 26 };

bool png_is(const uint8_t *data, size_t size) {
    return size >= 8 && png_sig_cmp(data, 0, 8) == 0;
}

static enum status decode(struct raster *raster, const char *path, png_image *image) {
    if ((uint64_t)image->width * image->height > MOST_PIXELS)
        return fail(STATUS_USAGE, "%s announces %u x %u pixels; at most %d are read", path,
                    image->width, image->height, MOST_PIXELS);
    bool colour = (image->format & PNG_FORMAT_FLAG_COLOR) != 0;
    image->format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* 16 bits are no sign of linear values */
    *raster = (struct raster){
        .height = (int)image->height, .width = (int)image->width, .channels = colour ? 3 : 1};
    TRY(allocate(&raster->pixels, PNG_IMAGE_SIZE(*image), 1, path));
    const png_color black = {0, 0, 0};
    if (!png_image_finish_read(image, &black, raster->pixels, 0, NULL) ||
        PNG_IMAGE_FAILED(*image)) {
        free(raster->pixels);
        raster->pixels = NULL;
        return fail(STATUS_USAGE, "%s is truncated or damaged: %s", path, image->message);
    }
    return STATUS_OK;
}

enum status png_decode(struct raster *raster, const char *path, const uint8_t *data, size_t size) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    *raster = (struct raster){0};
    enum status status =
        png_image_begin_read_from_memory(&image, data, size)
            ? decode(raster, path, &image)
            : fail(STATUS_USAGE, "%s is truncated or damaged: %s", path, image.message);
    png_image_free(&image);
    return status;
}

enum status png_size(struct picture_size *picture, const char *path, const uint8_t *data,
                     size_t size) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    bool read = png_image_begin_read_from_memory(&image, data, size);
    bool colour = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
    *picture = (struct picture_size){(int)image.height, (int)image.width, colour ? 3 : 1};
    png_image_free(&image);
    return read ? STATUS_OK
                : fail(STATUS_USAGE, "%s is truncated or damaged: %s", path, image.message);
}

enum status png_encode(const struct raster *raster, uint8_t **file, size_t *size) {
    static const png_uint_32 formats[] = {
        [1] = PNG_FORMAT_GRAY, [2] = PNG_FORMAT_GA, [3] = PNG_FORMAT_RGB, [4] = PNG_FORMAT_RGBA};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)raster->width,
                       .height = (png_uint_32)raster->height,
                       .format = formats[raster->channels]};
    png_alloc_size_t room = PNG_IMAGE_PNG_SIZE_MAX(image);
    TRY(allocate(file, room, 1, "a picture as PNG"));
    if (!png_image_write_to_memory(&image, *file, &room, 0, raster->pixels, 0, NULL)) {
        free(*file);
        *file = NULL;
        return fail(STATUS_FAILED, "cannot make a PNG file: %s", image.message);
    }
    *size = room;
    return STATUS_OK;
}
