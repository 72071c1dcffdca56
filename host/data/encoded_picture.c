#include "data/encoded_picture.h"
#include "data/png.h"
#include "data/pnm.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status decode(struct raster *raster, const uint8_t *data, size_t size,
                          const char *name) {
    *raster = (struct raster){0};
    if (png_is(data, size))
        return png_decode(raster, name, data, size);
    if (pnm_is(data, size))
        return pnm_decode(raster, name, data, size);
    return fail(STATUS_USAGE, "%s is no picture that taper reads: PNG, PGM or PPM", name);
}

enum status picture_check(const uint8_t *data, size_t size, const char *name, int *height,
                          int *width) {
    struct raster raster;
    TRY(decode(&raster, data, size, name));
    *height = raster.height;
    *width = raster.width;
    free(raster.pixels);
    return STATUS_OK;
}

static enum status write_shrunk(const struct raster *from, int short_side,
                                struct picture_bytes *out) {
    int shorter = from->height < from->width ? from->height : from->width;
    struct raster to = {.height = (int)((int64_t)from->height * short_side / shorter),
                        .width = (int)((int64_t)from->width * short_side / shorter),
                        .channels = from->channels};
    uint8_t *file = NULL;
    size_t size = 0;
    TRY(allocate(&to.pixels, (size_t)to.height * (size_t)to.width, (size_t)to.channels,
                 "a picture"));
    enum status status = raster_fit(from, &to);
    if (status == STATUS_OK)
        status = png_encode(&to, &file, &size);
    if (status == STATUS_OK)
        status = picture_bytes_resize(out, size);
    if (status == STATUS_OK)
        memcpy(out->data, file, size);
    free(file);
    free(to.pixels);
    return status;
}

enum status picture_shrink(const uint8_t *data, size_t size, const char *name, int short_side,
                           struct picture_bytes *out, bool *changed) {
    struct raster raster;
    TRY(decode(&raster, data, size, name));
    *changed = raster.height > short_side && raster.width > short_side;
    enum status status = *changed ? write_shrunk(&raster, short_side, out) : STATUS_OK;
    free(raster.pixels);
    return status;
}
