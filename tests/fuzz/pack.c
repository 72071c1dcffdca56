/* Any bytes as a pack. When the first byte is odd, magic, size and checksums are made right where
 * they lie within the file, so that inputs get past them. */
#include "data/pack_format.h"
#include "fuzz_source.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t file[MOST_BYTES];
    if (size < 1 || size - 1 > sizeof file)
        return 0;
    memcpy(file, data + 1, size - 1);
    if ((data[0] & 1) && size - 1 >= sizeof(struct pack_header))
        make_checksums(file, size - 1);
    fuzz_source("pack", file, size - 1);
    return 0;
}
