#include "data/idx.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* What one call of zlib can count, and more than any data set of this kind has. */
#define MOST_BYTES ((size_t)INT32_MAX)

enum { MOST_SIDE = 4096, MOST_RANK = 3, TRAILER = 8 };

/* An IDX file in memory. */
struct idx {
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

static enum status read_header(z_stream *stream, const char *path, int rank, struct idx *idx) {
    uint8_t header[4 + 4 * MOST_RANK];
    TRY(inflate_exactly(stream, path, header, 4 + 4 * (size_t)rank));
    uint32_t magic = big_endian(header), expected = 0x800 + (uint32_t)rank; /* unsigned bytes */
    if (magic != expected)
        return fail(STATUS_USAGE, "%s starts with %08x; an IDX file of this kind starts with %08x",
                    path, magic, expected);
    idx->bytes = 1;
    for (int i = 0; i < rank; i++) {
        idx->sizes[i] = big_endian(header + 4 + 4 * i);
        if (idx->sizes[i] == 0 || (i > 0 && idx->sizes[i] > MOST_SIDE))
            return fail(STATUS_USAGE, "%s announces a size of %u", path, idx->sizes[i]);
        if (idx->sizes[i] > MOST_BYTES / idx->bytes)
            return fail(STATUS_USAGE, "%s announces more than %zu bytes", path, MOST_BYTES);
        idx->bytes *= idx->sizes[i];
    }
    return STATUS_OK;
}

/* `inflated`: the length that the end of the gzip data states. Compared before memory is taken for
 * what a damaged header announces. */
static enum status read_idx(z_stream *stream, const char *path, int rank, uint32_t inflated,
                            struct idx *idx) {
    TRY(read_header(stream, path, rank, idx));
    size_t announced = 4 + 4 * (size_t)rank + idx->bytes;
    if (announced != inflated)
        return fail(STATUS_USAGE,
                    "%s is truncated, damaged or has bytes behind its end: its header announces "
                    "%zu bytes, its end %u; fetch it again",
                    path, announced, inflated);
    TRY(allocate(&idx->data, idx->bytes, 1, path));
    TRY(inflate_exactly(stream, path, idx->data, idx->bytes));
    return check_end(stream, path);
}

static enum status open_idx(const char *path, int rank, struct idx *idx) {
    char *file;
    size_t size;
    if (!file_exists(path))
        return fail(STATUS_USAGE,
                    "%s does not exist; data.folder must hold it (Fashion-MNIST: Debian's package "
                    "dataset-fashion-mnist)",
                    path);
    TRY(file_read(path, MOST_BYTES, &file, &size));
    const uint8_t *bytes = (const uint8_t *)file;
    z_stream stream = {.next_in = (uint8_t *)file, .avail_in = (uInt)size};
    enum status status;
    if (size < TRAILER || bytes[0] != 0x1f || bytes[1] != 0x8b)
        status = fail(STATUS_USAGE, "%s is not a gzip file", path);
    else if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) /* 16: gzip, nothing else */
        status = fail(STATUS_FAILED, "no memory to inflate %s", path);
    else
        status = read_idx(&stream, path, rank, little_endian(bytes + size - 4), idx);
    inflateEnd(&stream);
    free(file);
    return status;
}

static enum status load_files(struct idx *images, struct idx *labels,
                              const struct data_config *config, enum data_part part) {
    const char *name = part == DATA_TRAIN ? "train" : "t10k";
    char images_path[sizeof config->folder + 64], labels_path[sizeof config->folder + 64];
    snprintf(images_path, sizeof images_path, "%s/%s-images-idx3-ubyte.gz", config->folder, name);
    snprintf(labels_path, sizeof labels_path, "%s/%s-labels-idx1-ubyte.gz", config->folder, name);
    TRY(open_idx(images_path, 3, images));
    TRY(open_idx(labels_path, 1, labels));
    if (images->sizes[0] != labels->sizes[0])
        return fail(STATUS_USAGE, "%s has %u images, but %s has %u labels", images_path,
                    images->sizes[0], labels_path, labels->sizes[0]);
    return STATUS_OK;
}

enum status idx_load(struct pictures *pictures, const struct data_config *config,
                     enum data_part part) {
    struct idx images = {0}, labels = {0};
    enum status status = load_files(&images, &labels, config, part);
    *pictures = (struct pictures){.count = (int)images.sizes[0],
                                  .height = (int)images.sizes[1],
                                  .width = (int)images.sizes[2],
                                  .channels = 1,
                                  .pixels = images.data,
                                  .labels = labels.data};
    return status;
}
