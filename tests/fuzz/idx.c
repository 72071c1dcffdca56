/* Any bytes as a pair of IDX files. The first byte says how they come: bit 0, bit 1: images, labels
 * are compressed here, with a right end, so that inputs get past gzip's checksums; else they are
 * given as they are. The next two bytes are the length of the images' part. */
#include "data/dataset.h"
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { MOST_PART = 1 << 16 };

static const char *gzip_file(int number, const uint8_t *data, size_t size) {
    static uint8_t packed[MOST_PART + 1024];
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)data,
                       .avail_in = (uInt)size,
                       .next_out = packed,
                       .avail_out = sizeof packed};
    if (deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 1, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&stream);
    return fuzz_file(number, packed, stream.total_out);
}

/* A folder in which the names of the data set lead to the two files in memory. */
static char folder[] = "/dev/shm/taper-fuzz-XXXXXX";
static char names[FUZZ_FILES][64];

static void remove_folder(void) {
    for (int i = 0; i < FUZZ_FILES; i++)
        unlink(names[i]);
    rmdir(folder);
}

static void make_folder(const char *const targets[FUZZ_FILES]) {
    static const char *const parts[] = {"images-idx3", "labels-idx1"};
    if (names[0][0] != '\0')
        return;
    if (mkdtemp(folder) == NULL)
        abort();
    for (int i = 0; i < FUZZ_FILES; i++) {
        snprintf(names[i], sizeof names[i], "%s/train-%s-ubyte.gz", folder, parts[i]);
        if (symlink(targets[i], names[i]) != 0)
            abort();
    }
    atexit(remove_folder);
}

static void use(const struct pictures *pictures) {
    size_t sum = 0, pixels = (size_t)pictures->count * (size_t)pictures->height *
                             (size_t)pictures->width * (size_t)pictures->channels;
    for (size_t i = 0; i < pixels; i++)
        sum += pictures->pixels[i];
    if (sum > 255 * pixels || pictures_beyond(pictures, pictures->classes) != -1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    size_t images = (size_t)data[1] << 8 | data[2], rest = size - 3;
    if (images > rest)
        images = rest;
    if (rest - images > MOST_PART)
        rest = images + MOST_PART;
    const uint8_t *part = data + 3;
    const char *targets[FUZZ_FILES];
    targets[0] = (data[0] & 1) ? gzip_file(0, part, images) : fuzz_file(0, part, images);
    targets[1] = (data[0] & 2) ? gzip_file(1, part + images, rest - images)
                               : fuzz_file(1, part + images, rest - images);
    struct data_config config = {.source = "idx", .classes = data[0] >> 2 & 15};
    struct pictures pictures;
    make_folder(targets);
    snprintf(config.folder, sizeof config.folder, "%s", folder);
    failure_clear();
    enum status status = pictures_load(&pictures, &config, DATA_TRAIN);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    if (status == STATUS_OK)
        use(&pictures);
    pictures_release(&pictures);
    return 0;
}
