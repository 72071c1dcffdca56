/* A pack: one part of a data set in one file. All numbers are little-endian.
 *
 *   struct pack_header
 *   the pictures' bytes, one after another
 *   the index: a struct picture_entry for each; place: offset in the file, detail: pack_checksum()
 *   the classes, as class_list.h writes them; nothing when they have numbers only
 *   the names, unless names_offset is 0: count + 1 uint64_t, offsets from the end of themselves,
 *   then the names without an end
 */
#ifndef TAPER_PACK_FORMAT_H
#define TAPER_PACK_FORMAT_H

#include "data/picture_list.h"

#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packs are read as they are");

enum { PACK_VERSION = 1 };

static const char pack_magic[8] = {'t', 'a', 'p', 'e', 'r', 'p', 'a', 'k'};

struct pack_header {
    char magic[8];
    uint32_t version, classes;
    uint64_t count, size; /* pictures; bytes of the whole file */
    uint64_t index_offset, classes_offset, classes_size, names_offset;
    uint64_t origin; /* of what it was made: the same origin, the same file */
    uint64_t index_checksum, classes_checksum;
    uint64_t reserved[4];
    uint64_t checksum; /* of the header before it */
};
_Static_assert(sizeof(struct pack_header) == 128, "the header is a part of the format");

/* XXH3 of 64 bits, as every implementation of it says; of pictures the lower half. */
static inline uint64_t pack_hash(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}
static inline uint32_t pack_checksum(const void *data, size_t size) {
    return (uint32_t)XXH3_64bits(data, size);
}
static inline uint64_t pack_header_checksum(const struct pack_header *header) {
    return pack_hash(header, offsetof(struct pack_header, checksum));
}

/* Reads and checks the header of an open pack; `path` names it in errors. */
enum status pack_read_header(int file, const char *path, struct pack_header *header);

#endif
