/* Any bytes as a pack. When the first byte is odd, magic, size and checksums are made right where
 * they lie within the file, so that inputs get past them. */
#include "data/pack_format.h"
#include "data/picture_source.h"
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16 };

static void make_checksums(uint8_t *file, size_t size) {
    struct pack_header header;
    memcpy(&header, file, sizeof header);
    memcpy(header.magic, pack_magic, sizeof pack_magic);
    header.version = PACK_VERSION;
    header.size = size;
    uint64_t index = header.count * sizeof(struct picture_entry);
    if (header.count <= size && index <= size && header.index_offset <= size - index)
        header.index_checksum = pack_hash(file + header.index_offset, index);
    if (header.classes_size <= size && header.classes_offset <= size - header.classes_size)
        header.classes_checksum = pack_hash(file + header.classes_offset, header.classes_size);
    header.checksum = pack_header_checksum(&header);
    memcpy(file, &header, sizeof header);
}

static void use(const struct picture_source *source, size_t file_size) {
    struct picture_bytes bytes = {0};
    char name[PICTURE_NAME], class[MAX_CLASS_NAME];
    int classes = picture_source_classes(source);
    for (int i = 0; i < picture_source_count(source); i++) {
        int label = picture_source_label(source, i);
        if (label < 0 || label >= classes || strchr(picture_source_name(source, i, name), '\n'))
            abort();
        if (strlen(picture_source_class_name(source, label, class)) >= MAX_CLASS_NAME)
            abort();
        if (picture_source_read(source, i, &bytes) == STATUS_OK &&
            (bytes.size == 0 || bytes.size > file_size))
            abort();
        failure_clear();
    }
    picture_bytes_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[MOST_BYTES];
    if (size < 1 || size - 1 > sizeof file)
        return 0;
    memcpy(file, data + 1, size - 1);
    if ((data[0] & 1) && size - 1 >= sizeof(struct pack_header))
        make_checksums(file, size - 1);
    struct data_config config = {.source = "pack"};
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
