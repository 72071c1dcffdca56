#include "data/idx.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801, MOST_SIDE = 4096, MOST_COUNT = 1 << 27 };
#define MOST_BYTES ((size_t)1 << 33)

struct idx_file {
    gzFile stream;
    char path[768];
};

static enum status idx_read(struct idx_file *file, void *into, size_t size) {
    char *at = into;
    while (size > 0) {
        unsigned chunk = size < (1u << 24) ? (unsigned)size : 1u << 24;
        int got = gzread(file->stream, at, chunk);
        if (got <= 0) {
            int code;
            const char *reason = gzerror(file->stream, &code);
            return fail(STATUS_USAGE, "%s: ends before the data that its header announces (%s)",
                        file->path, code == Z_OK || code == Z_BUF_ERROR ? "truncated" : reason);
        }
        at += got;
        size -= (size_t)got;
    }
    return STATUS_OK;
}

static enum status idx_number(struct idx_file *file, uint32_t *number) {
    uint8_t bytes[4];
    TRY(idx_read(file, bytes, sizeof bytes));
    *number =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return STATUS_OK;
}

static enum status idx_open(struct idx_file *file, const char *folder, const char *name,
                            uint32_t magic) {
    snprintf(file->path, sizeof file->path, "%s/%s", folder, name);
    errno = 0;
    file->stream = gzopen(file->path, "rb");
    if (file->stream == NULL)
        return fail(STATUS_USAGE, "%s: %s; on Debian the package dataset-fashion-mnist installs it",
                    file->path, errno ? strerror(errno) : "no memory");
    gzbuffer(file->stream, 1 << 17);
    uint32_t found;
    TRY(idx_number(file, &found));
    if (found != magic)
        return fail(STATUS_USAGE, "%s: starts with 0x%08x, an IDX file of this kind with 0x%08x",
                    file->path, found, magic);
    return STATUS_OK;
}

static enum status idx_end(struct idx_file *file) {
    char more;
    if (gzread(file->stream, &more, 1) != 0)
        return fail(STATUS_USAGE, "%s: goes on behind the data that its header announces",
                    file->path);
    return STATUS_OK;
}

static enum status read_images(struct idx_file *file, struct pictures *pictures) {
    uint32_t count, height, width;
    TRY(idx_number(file, &count));
    TRY(idx_number(file, &height));
    TRY(idx_number(file, &width));
    if (count < 1 || count > MOST_COUNT || height < 1 || height > MOST_SIDE || width < 1 ||
        width > MOST_SIDE || (size_t)count * height * width > MOST_BYTES)
        return fail(STATUS_USAGE, "%s: announces %u pictures of %u x %u, which cannot be",
                    file->path, count, height, width);
    pictures->count = (int)count;
    pictures->height = (int)height;
    pictures->width = (int)width;
    pictures->channels = 1;
    size_t size = (size_t)count * height * width;
    TRY(allocate(&pictures->pixels, size, 1, "pictures"));
    TRY(idx_read(file, pictures->pixels, size));
    return idx_end(file);
}

static enum status read_labels(struct idx_file *file, struct pictures *pictures, int classes) {
    uint32_t count;
    TRY(idx_number(file, &count));
    if ((int64_t)count != pictures->count)
        return fail(STATUS_USAGE, "%s: announces %u labels for %d pictures", file->path, count,
                    pictures->count);
    TRY(allocate(&pictures->labels, count, 1, "labels"));
    TRY(idx_read(file, pictures->labels, count));
    TRY(idx_end(file));
    for (uint32_t i = 0; i < count; i++) {
        if (classes > 0 && pictures->labels[i] >= classes)
            return fail(STATUS_USAGE, "%s: label %d of picture %u is not below %d classes",
                        file->path, pictures->labels[i], i, classes);
        if (pictures->labels[i] >= pictures->classes)
            pictures->classes = pictures->labels[i] + 1;
    }
    if (classes > 0)
        pictures->classes = classes;
    return STATUS_OK;
}

enum status idx_load(struct pictures *pictures, const struct data_config *config,
                     enum data_part part) {
    const char *prefix = part == DATA_TRAIN ? "train" : "t10k";
    char name[64];
    struct idx_file images = {0}, labels = {0};
    enum status status;
    *pictures = (struct pictures){0};
    snprintf(name, sizeof name, "%s-images-idx3-ubyte.gz", prefix);
    TRY_CLEANUP(idx_open(&images, config->folder, name, IMAGES_MAGIC));
    TRY_CLEANUP(read_images(&images, pictures));
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte.gz", prefix);
    TRY_CLEANUP(idx_open(&labels, config->folder, name, LABELS_MAGIC));
    status = read_labels(&labels, pictures, config->classes);
done:
    if (images.stream)
        gzclose(images.stream);
    if (labels.stream)
        gzclose(labels.stream);
    if (status != STATUS_OK)
        pictures_release(pictures);
    return status;
}
