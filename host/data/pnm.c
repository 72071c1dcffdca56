#include "data/pnm.h"
#include "support/memory.h"

#include <ctype.h>
#include <stdlib.h>

enum { MOST_SIDE = 1 << 15, MOST_VALUE = 65535 };

struct reader {
    const char *path;
    const uint8_t *at, *end;
};

bool pnm_is(const uint8_t *data, size_t size) {
    return size > 2 && data[0] == 'P' && data[1] >= '1' && data[1] <= '7' &&
           (isspace(data[2]) || data[2] == '#');
}

/* White space, and comments to the end of their line. */
static void skip_space(struct reader *reader) {
    while (reader->at < reader->end && (isspace(*reader->at) || *reader->at == '#')) {
        if (*reader->at == '#')
            while (reader->at < reader->end && *reader->at != '\n')
                reader->at++;
        else
            reader->at++;
    }
}

static enum status read_number(struct reader *reader, const char *what, int most, int *number) {
    skip_space(reader);
    *number = 0;
    while (reader->at < reader->end && isdigit(*reader->at) && *number <= most)
        *number = *number * 10 + (*reader->at++ - '0');
    if (*number < 1 || *number > most)
        return fail(STATUS_USAGE, "%s: its %s is not within 1..%d", reader->path, what, most);
    return STATUS_OK;
}

/* Values 0..largest as 0..255, rounded. */
static enum status convert(struct raster *raster, const struct reader *reader, size_t values,
                           int largest) {
    const uint8_t *data = reader->at;
    bool wide = largest > 255;
    for (size_t i = 0; i < values; i++) {
        int value = wide ? data[2 * i] << 8 | data[2 * i + 1] : data[i];
        if (value > largest)
            return fail(STATUS_USAGE, "%s is damaged: a value of %d, and its largest is %d",
                        reader->path, value, largest);
        raster->pixels[i] = (uint8_t)((value * 255 + largest / 2) / largest);
    }
    return STATUS_OK;
}

static enum status read_values(struct raster *raster, const struct reader *reader, int largest) {
    size_t values = (size_t)raster->height * raster->width * raster->channels;
    size_t bytes = largest > 255 ? 2 * values : values, has = (size_t)(reader->end - reader->at);
    if (has != bytes)
        return fail(STATUS_USAGE, "%s has %zu bytes of pixels, its header announces %zu",
                    reader->path, has, bytes);
    TRY(allocate(&raster->pixels, values, 1, reader->path));
    return convert(raster, reader, values, largest);
}

static enum status read_header(struct picture_size *picture, struct reader *reader, int *largest) {
    int kind = reader->at[-1];
    *picture = (struct picture_size){.channels = kind == '5' ? 1 : 3};
    if (kind != '5' && kind != '6')
        return fail(STATUS_USAGE, "%s is a P%c file; of its kind, P5 and P6 are read", reader->path,
                    kind);
    TRY(read_number(reader, "width", MOST_SIDE, &picture->width));
    TRY(read_number(reader, "height", MOST_SIDE, &picture->height));
    TRY(read_number(reader, "largest value", MOST_VALUE, largest));
    if (reader->at == reader->end || !isspace(*reader->at++))
        return fail(STATUS_USAGE, "%s ends within its header", reader->path);
    return STATUS_OK;
}

enum status pnm_size(struct picture_size *picture, const char *path, const uint8_t *data,
                     size_t size) {
    struct reader reader = {path, data + 2, data + size};
    int largest;
    return read_header(picture, &reader, &largest);
}

enum status pnm_decode(struct raster *raster, const char *path, const uint8_t *data, size_t size) {
    struct reader reader = {path, data + 2, data + size};
    struct picture_size picture;
    int largest;
    *raster = (struct raster){0};
    TRY(read_header(&picture, &reader, &largest));
    *raster = (struct raster){
        .height = picture.height, .width = picture.width, .channels = picture.channels};
    enum status status = read_values(raster, &reader, largest);
    if (status != STATUS_OK) {
        free(raster->pixels);
        raster->pixels = NULL;
    }
    return status;
}
