/* Any bytes as a tar shard. When the first byte is odd, the checksum of every block that may be a
 * header is made right, so that inputs get past it. */
#include "data/tar.h"
#include "data/picture_source.h"
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16 };

static void make_checksum(uint8_t *block) {
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum & 0777777);
}

static void use(const struct picture_source *source, size_t file_size) {
    struct picture_bytes bytes = {0};
    char name[PICTURE_NAME];
    int classes = picture_source_classes(source);
    for (int i = 0; i < picture_source_count(source); i++) {
        int label = picture_source_label(source, i);
        if (label < 0 || label >= classes || strchr(picture_source_name(source, i, name), '\n'))
            abort();
        enum status status = picture_source_read(source, i, &bytes);
        if (status == STATUS_OK && (bytes.size == 0 || bytes.size > file_size))
            abort();
        failure_clear();
    }
    for (const char *at = NULL; (at = sentences_next(picture_source_faults(source), at)) != NULL;)
        if (strchr(at, '\n') != NULL)
            abort();
    picture_bytes_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[MOST_BYTES];
    if (size < 1 || size - 1 > sizeof file)
        return 0;
    memcpy(file, data + 1, size - 1);
    for (size_t at = 0; (data[0] & 1) && at + TAR_BLOCK <= size - 1; at += TAR_BLOCK)
        if (file[at] != 0 && (data[0] & 2 || file[at + 148] != 0))
            make_checksum(file + at);
    struct data_config config = {.source = "shards"};
    struct picture_source *source;
    snprintf(config.train, sizeof config.train, "%s", fuzz_file(0, file, size - 1));
    failure_clear();
    enum status status = picture_source_open(&source, &config, DATA_TRAIN, NULL);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    if (status == STATUS_OK)
        use(source, size - 1);
    picture_source_close(source);
    return 0;
}
