#include "data/idx.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What one call of zlib can count, and more than any data set of this kind has. */
#define MOST_BYTES ((size_t)INT32_MAX)

/* One byte of deflated data holds at most 1032 inflated ones. */
enum { MOST_SIDE = 4096, MOST_RANK = 3, MOST_RATIO = 1032, TRAILER = 8 };

/* An IDX file on its way into memory. */
struct idx {
    char path[sizeof((struct pictures *)0)->labels_file];
    char *file; /* as it is on disk */
    z_stream stream;
    uint32_t sizes[MOST_RANK];
    size_t bytes; /* their product */
    uint8_t *data;
};

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t little_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Inflates exactly `size` bytes. */
static enum status inflate_exactly(z_stream *stream, const char *path, void *data, size_t size) {
    stream->next_out = data;
    stream->avail_out = (uInt)size;
    int result = inflate(stream, Z_SYNC_FLUSH);
    if (stream->avail_out == 0)
        return STATUS_OK;
    if (result == Z_MEM_ERROR)
        return fail(STATUS_FAILED, "no memory to inflate %s", path);
    return fail(STATUS_USAGE, "%s is truncated or damaged: %s; fetch it again", path,
                stream->msg != NULL ? stream->msg : "its data end too early");
}

/* The stream must end here, and the file with it; zlib has then compared checksum and length. */
static enum status check_end(z_stream *stream, const char *path) {
    uint8_t more;
    stream->next_out = &more;
    stream->avail_out = 1;
    int result = inflate(stream, Z_FINISH);
    if (stream->avail_out == 0)
        return fail(STATUS_USAGE, "%s has more bytes than its header announces", path);
    if (result != Z_STREAM_END)
        return fail(STATUS_USAGE, "%s is truncated or damaged: %s; fetch it again", path,
                    stream->msg != NULL ? stream->msg : "its data do not end");
    if (stream->avail_in > 0)
        return fail(STATUS_USAGE, "%s has %u bytes behind the end of its gzip data", path,
                    stream->avail_in);
    return STATUS_OK;
}

static enum status read_header(struct idx *idx, int rank) {
    uint8_t header[4 + 4 * MOST_RANK];
    TRY(inflate_exactly(&idx->stream, idx->path, header, 4 + 4 * (size_t)rank));
    uint32_t magic = big_endian(header), expected = 0x800 + (uint32_t)rank; /* unsigned bytes */
    if (magic != expected)
        return fail(STATUS_USAGE, "%s starts with %08x; an IDX file of this kind starts with %08x",
                    idx->path, magic, expected);
    idx->bytes = 1;
    for (int i = 0; i < rank; i++) {
        idx->sizes[i] = big_endian(header + 4 + 4 * i);
        if (idx->sizes[i] == 0 || (i > 0 && idx->sizes[i] > MOST_SIDE))
            return fail(STATUS_USAGE, "%s announces a size of %u", idx->path, idx->sizes[i]);
        if (idx->sizes[i] > MOST_BYTES / idx->bytes)
            return fail(STATUS_USAGE, "%s announces more than %zu bytes", idx->path, MOST_BYTES);
        idx->bytes *= idx->sizes[i];
    }
    return STATUS_OK;
}

/* `inflated`: the length that the end of the gzip data states. */
static enum status check_header(const struct idx *idx, int rank, size_t packed, uint32_t inflated) {
    size_t announced = 4 + 4 * (size_t)rank + idx->bytes;
    if (announced != inflated)
        return fail(STATUS_USAGE,
                    "%s is truncated, damaged or has bytes behind its end: its header announces "
                    "%zu bytes, its end %u; fetch it again",
                    idx->path, announced, inflated);
    if (announced / MOST_RATIO > packed)
        return fail(STATUS_USAGE,
                    "%s announces %zu bytes, but its %zu bytes of gzip data cannot hold so many",
                    idx->path, announced, packed);
    return STATUS_OK;
}

/* Reads the header, and checks what can be checked before memory is taken for what it announces. */
static enum status idx_open(struct idx *idx, int rank) {
    size_t size;
    if (!file_exists(idx->path))
        return fail(STATUS_USAGE,
                    "%s does not exist; data.folder must hold it (Fashion-MNIST: Debian's package "
                    "dataset-fashion-mnist)",
                    idx->path);
    TRY(file_read(idx->path, MOST_BYTES, &idx->file, &size));
    const uint8_t *bytes = (const uint8_t *)idx->file;
    if (size < TRAILER || bytes[0] != 0x1f || bytes[1] != 0x8b)
        return fail(STATUS_USAGE, "%s is not a gzip file", idx->path);
    idx->stream = (z_stream){.next_in = (uint8_t *)idx->file, .avail_in = (uInt)size};
    if (inflateInit2(&idx->stream, 16 + MAX_WBITS) != Z_OK) /* 16: gzip, nothing else */
        return fail(STATUS_FAILED, "no memory to inflate %s", idx->path);
    TRY(read_header(idx, rank));
    return check_header(idx, rank, size, little_endian(bytes + size - 4));
}

static enum status idx_read(struct idx *idx) {
    TRY(allocate(&idx->data, idx->bytes, 1, idx->path));
    TRY(inflate_exactly(&idx->stream, idx->path, idx->data, idx->bytes));
    return check_end(&idx->stream, idx->path);
}

static void idx_close(struct idx *idx) {
    inflateEnd(&idx->stream);
    free(idx->file);
}

/* A file that inflates to gigabytes is refused here, unless the other one has as many entries. */
static enum status read_both(struct idx *images, struct idx *labels) {
    TRY(idx_open(images, 3));
    TRY(idx_open(labels, 1));
    if (images->sizes[0] != labels->sizes[0])
        return fail(STATUS_USAGE, "%s has %u images, but %s has %u labels", images->path,
                    images->sizes[0], labels->path, labels->sizes[0]);
    TRY(idx_read(images));
    return idx_read(labels);
}

static struct pictures pictures_of(const struct idx *images) {
    return (struct pictures){.count = (int)images->sizes[0],
                             .height = (int)images->sizes[1],
                             .width = (int)images->sizes[2],
                             .channels = 1,
                             .pixels = images->data};
}

static enum status widen_labels(struct pictures *pictures, const struct idx *labels) {
    TRY(allocate(&pictures->labels, labels->bytes, sizeof *pictures->labels, labels->path));
    for (size_t i = 0; i < labels->bytes; i++)
        pictures->labels[i] = labels->data[i];
    return STATUS_OK;
}

enum status idx_load(struct pictures *pictures, const struct data_config *config,
                     enum data_part part) {
    const char *name = part == DATA_TRAIN ? "train" : "t10k";
    struct idx images = {0}, labels = {0};
    snprintf(images.path, sizeof images.path, "%s/%s-images-idx3-ubyte.gz", config->folder, name);
    snprintf(labels.path, sizeof labels.path, "%s/%s-labels-idx1-ubyte.gz", config->folder, name);
    enum status status = read_both(&images, &labels);
    *pictures = pictures_of(&images);
    if (status == STATUS_OK)
        status = widen_labels(pictures, &labels);
    free(labels.data);
    snprintf(pictures->labels_file, sizeof pictures->labels_file, "%s", labels.path);
    idx_close(&images);
    idx_close(&labels);
    return status;
}

enum status idx_load_images(struct pictures *pictures, const char *path) {
    struct idx images = {0};
    if (strlen(path) >= sizeof images.path)
        return fail(STATUS_USAGE, "%.200s...: the name is too long", path);
    snprintf(images.path, sizeof images.path, "%s", path);
    enum status status = idx_open(&images, 3);
    if (status == STATUS_OK)
        status = idx_read(&images);
    *pictures = pictures_of(&images);
    idx_close(&images);
    if (status != STATUS_OK)
        pictures_release(pictures);
    return status;
}
