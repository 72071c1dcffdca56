#include "data/picture_file.h"
#include "data/idx.h"
#include "data/picture_decoder.h"
#include "data/raster.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 28 };

/* A file, and which of its pictures. */
struct wanted {
    char path[PATH_MAX];
    bool range;
    int first, last;
};

/* One to nine digits. */
static bool read_number(const char **text, int *number) {
    size_t digits = strspn(*text, "0123456789");
    *number = (int)strtol(*text, NULL, 10);
    *text += digits;
    return digits >= 1 && digits <= 9;
}

static enum status read_range(const char *name, const char *text, struct wanted *wanted) {
    bool right = read_number(&text, &wanted->first);
    wanted->last = wanted->first;
    if (right && *text == '-') {
        text++;
        right = read_number(&text, &wanted->last);
    }
    if (!right || *text != '\0')
        return fail(STATUS_USAGE, "%s: behind the colon stands a number, or a range as 10-19",
                    name);
    if (wanted->last < wanted->first)
        return fail(STATUS_USAGE, "%s: the range ends before it begins", name);
    wanted->range = true;
    return STATUS_OK;
}

/* A name that is a file as it stands is that file, colon or not. */
static enum status read_name(const char *name, struct wanted *wanted) {
    const char *colon = strrchr(name, ':');
    *wanted = (struct wanted){.range = false};
    if (strlen(name) >= sizeof wanted->path)
        return fail(STATUS_USAGE, "%.200s...: the name is too long", name);
    strcpy(wanted->path, name);
    if (file_exists(name) || colon == NULL)
        return STATUS_OK;
    wanted->path[colon - name] = '\0';
    if (!file_exists(wanted->path)) { /* the sentence is about the whole name */
        strcpy(wanted->path, name);
        return STATUS_OK;
    }
    return read_range(name, colon + 1, wanted);
}

static enum status take(struct pictures *pictures, const struct picture_recipe *recipe, int count) {
    *pictures = (struct pictures){.count = count,
                                  .height = recipe->height,
                                  .width = recipe->width,
                                  .channels = recipe->channels};
    return allocate(&pictures->pixels, (size_t)count,
                    (size_t)recipe->height * recipe->width * recipe->channels, "pictures");
}

static enum status fit(const struct raster *from, struct pictures *pictures, int image) {
    size_t bytes = (size_t)pictures->height * pictures->width * pictures->channels;
    const struct raster to = {.height = pictures->height,
                              .width = pictures->width,
                              .channels = pictures->channels,
                              .pixels = pictures->pixels + (size_t)image * bytes};
    return raster_fit(from, &to);
}

static enum status load_idx(struct pictures *pictures, const struct wanted *wanted,
                            const struct picture_recipe *recipe) {
    struct pictures all;
    TRY(idx_load_images(&all, wanted->path));
    int first = wanted->range ? wanted->first : 0,
        last = wanted->range ? wanted->last : all.count - 1;
    enum status status = STATUS_OK;
    if (last >= all.count)
        status = fail(STATUS_USAGE, "%s has the pictures 0..%d, and none with the number %d",
                      wanted->path, all.count - 1, last);
    else
        status = take(pictures, recipe, last - first + 1);
    for (int i = first; status == STATUS_OK && i <= last; i++) {
        const struct raster from = {.height = all.height,
                                    .width = all.width,
                                    .channels = 1,
                                    .pixels = all.pixels + (size_t)i * all.height * all.width};
        status = fit(&from, pictures, i - first);
    }
    pictures_release(&all);
    return status;
}

static enum status load_one(struct pictures *pictures, const struct wanted *wanted,
                            const uint8_t *data, size_t size, const struct picture_recipe *recipe) {
    struct picture_decoder *decoder;
    if (wanted->range)
        return fail(STATUS_USAGE, "%s is one picture: no number behind its name", wanted->path);
    TRY(take(pictures, recipe, 1));
    TRY(picture_decoder_create(&decoder, PICTURE_MOST_PIXELS));
    enum status status =
        picture_make(decoder, recipe, NULL, wanted->path, data, size, pictures->pixels);
    picture_decoder_release(decoder);
    return status;
}

static enum status load(struct pictures *pictures, int *first, const struct wanted *wanted,
                        const struct picture_recipe *recipe) {
    char *data;
    size_t size;
    if (!file_exists(wanted->path))
        return fail(STATUS_USAGE, "there is no file %s", wanted->path);
    TRY(file_read(wanted->path, MOST_BYTES, &data, &size));
    const uint8_t *bytes = (const uint8_t *)data;
    bool gzip = size > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
    enum status status = gzip ? STATUS_OK : load_one(pictures, wanted, bytes, size, recipe);
    free(data);
    *first = -1;
    if (!gzip || status != STATUS_OK)
        return status;
    *first = wanted->range ? wanted->first : 0;
    return load_idx(pictures, wanted, recipe);
}

enum status picture_file_load(struct pictures *pictures, struct picture_origin *origin,
                              const char *name, const struct picture_recipe *recipe) {
    struct wanted wanted;
    *pictures = (struct pictures){0};
    TRY(read_name(name, &wanted));
    strcpy(origin->path, wanted.path);
    enum status status = load(pictures, &origin->first, &wanted, recipe);
    if (status != STATUS_OK)
        pictures_release(pictures);
    return status;
}
