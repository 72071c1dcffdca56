/* The pictures of a source: 16 bytes for each, and the bytes of their names. */
#ifndef TAPER_PICTURE_LIST_H
#define TAPER_PICTURE_LIST_H

#include "support/status.h"
#include <stddef.h>
#include <stdint.h>

/* Also the index of a pack, byte for byte (pack_format.h). */
struct picture_entry {
    uint64_t place_and_label; /* 48 bits: where its name or its data are; 16 bits: its label */
    uint32_t size;            /* bytes of data; a folder does not know */
    uint32_t detail;          /* of a pack: checksum; of shards: block of the data */
};
_Static_assert(sizeof(struct picture_entry) == 16, "sixteen bytes a picture");

static const uint64_t MOST_PLACE = UINT64_MAX >> 16;

static inline uint64_t entry_place(const struct picture_entry *entry) {
    return entry->place_and_label & MOST_PLACE;
}
static inline int entry_label(const struct picture_entry *entry) {
    return (int)(entry->place_and_label >> 48);
}
static inline uint64_t entry_at(uint64_t place, int label) {
    return place | (uint64_t)label << 48;
}

struct picture_list {
    struct picture_entry *entries; /* owned, as the names are */
    size_t count, room;
    char *names; /* each with its 0, at the place of its entry; NULL: they are elsewhere */
    size_t names_size, names_room;
};

/* Puts the name behind the others, and an entry for it. */
enum status picture_list_add(struct picture_list *list, const char *name, int label, uint32_t size,
                             uint32_t detail);
const char *picture_list_name(const struct picture_list *list, size_t picture);
void picture_list_sort(struct picture_list *list); /* by name, byte by byte */

/* All parts one after another, without room to spare; the parts are empty then. More pictures than
 * INT_MAX are an error. */
enum status picture_list_join(struct picture_list *list, struct picture_list *parts, int count);
void picture_list_release(struct picture_list *list);

#endif
