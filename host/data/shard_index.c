#include "data/shard_index.h"
#include "data/tar.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_DIGITS = 16 };

struct index {
    struct source_part *part;
    const char *shard;           /* the last part of its path */
    struct picture_list images;  /* as they will be, without labels */
    struct picture_list classes; /* named by keys; size: the label */
};

/* As WebDataset has it: up to the first dot of the last part. */
static size_t key_length(const char *name) {
    const char *slash = strrchr(name, '/');
    const char *last = slash != NULL ? slash + 1 : name;
    return (size_t)(last - name) + strcspn(last, ".");
}

static bool leaves_the_folder(const char *name) {
    for (const char *part = name;; part++) {
        if (part == name && *part == '/')
            return true;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
        part = strchr(part, '/');
        if (part == NULL)
            return false;
    }
}

static enum status take_label(struct index *index, struct tar *tar) {
    const struct tar_member *member = &tar->member;
    const uint8_t *bytes;
    char digits[MOST_DIGITS + 1] = "", key[PATH_MAX], *end;
    size_t size = member->size <= MOST_DIGITS ? (size_t)member->size : 0;
    TRY(tar_look(tar, member->offset, size, &bytes));
    memcpy(digits, bytes, size);
    unsigned long label = strtoul(digits, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || end[strspn(end, " \r\n")] != '\0' ||
        label >= MOST_CLASSES) {
        sentences_add(&index->part->faults, "%s: %s: '%s' is no label from 0 to %d", index->shard,
                      member->name, digits, MOST_CLASSES - 1);
        return STATUS_OK;
    }
    size_t length = key_length(member->name);
    memcpy(key, member->name, length);
    key[length] = '\0';
    return picture_list_add(&index->classes, key, 0, (uint32_t)label, 0);
}

static enum status take_member(struct index *index, struct tar *tar) {
    const struct tar_member *member = &tar->member;
    const char *ending = member->name + key_length(member->name), *why = NULL;
    bool label = strcasecmp(ending, ".cls") == 0;
    bool picture = is_picture_name(ending) && strrchr(ending, '.') == ending; /* no .seg.png */
    if (!label && !picture)
        return STATUS_OK;
    if (leaves_the_folder(member->name))
        why = "its name leads out of the folder";
    else if (!member->plain)
        why = "it is a link, or no plain file";
    else if (!label && member->size > MOST_PICTURE_BYTES)
        why = "it is too large for a picture";
    else if (member->offset / TAR_BLOCK > UINT32_MAX)
        why = "the shard is over 2 TiB";
    if (why != NULL) {
        sentences_add(&index->part->faults, "%s: %s: %s", index->shard, member->name, why);
        return STATUS_OK;
    }
    return label ? take_label(index, tar)
                 : picture_list_add(&index->images, member->name, 0, (uint32_t)member->size,
                                    (uint32_t)(member->offset / TAR_BLOCK));
}

/* What comes before damage is right, and stays. */
static enum status read_members(struct index *index, struct tar *tar) {
    for (bool more = true; more;) {
        enum status status = tar_next(tar, &more);
        if (status == STATUS_USAGE && tar->at > 0) {
            sentences_add(&index->part->faults, "%s", failure());
            failure_clear();
            return STATUS_OK;
        }
        TRY(status);
        if (more)
            TRY(take_member(index, tar));
        else if (!tar->ended)
            sentences_add(&index->part->notes,
                          "%s has no end: where it was cut off there, pictures are missing",
                          index->shard);
    }
    return STATUS_OK;
}

/* The place of the key among the sorted ones; a key that comes again has its first one first. */
static size_t find_key(const struct picture_list *classes, const char *name, size_t length) {
    size_t low = 0, high = classes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *key = picture_list_name(classes, middle);
        int order = strncmp(key, name, length);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_key(const struct picture_list *classes, size_t at, const char *name, size_t length) {
    if (at >= classes->count)
        return false;
    const char *key = picture_list_name(classes, at);
    return strncmp(key, name, length) == 0 && key[length] == '\0';
}

enum { FREE = 0, TAKEN = 1 }; /* in `detail` of a label: whether a picture has it */

static enum status match(struct index *index, size_t image) {
    const char *name = picture_list_name(&index->images, image);
    const struct picture_entry *entry = &index->images.entries[image];
    size_t length = key_length(name), at = find_key(&index->classes, name, length);
    if (!is_key(&index->classes, at, name, length)) {
        sentences_add(&index->part->faults, "%s: %s has no label: %.*s.cls is missing",
                      index->shard, name, (int)length, name);
        return STATUS_OK;
    }
    struct picture_entry *label = &index->classes.entries[at];
    if (label->detail == TAKEN) {
        sentences_add(&index->part->faults, "%s: %s: a picture before it has the same key",
                      index->shard, name);
        return STATUS_OK;
    }
    label->detail = TAKEN;
    return picture_list_add(&index->part->list, name, (int)label->size, entry->size, entry->detail);
}

static void tell_unused_labels(struct index *index) {
    const struct picture_list *classes = &index->classes;
    for (size_t i = 0; i < classes->count; i++) {
        const char *key = picture_list_name(classes, i);
        if (i > 0 && strcmp(key, picture_list_name(classes, i - 1)) == 0)
            sentences_add(&index->part->faults, "%s: %s.cls is there more than once", index->shard,
                          key);
        else if (classes->entries[i].detail == FREE)
            sentences_add(&index->part->faults, "%s: %s.cls has no picture", index->shard, key);
    }
}

static enum status check_magic(struct tar *tar) {
    static const struct {
        const char *bytes, *name, *command;
    } packers[] = {{"\x1f\x8b", "gzip", "gzip -d"},
                   {"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
                   {"\xfd\x37zXZ", "xz", "xz -d"},
                   {"BZh", "bzip2", "bzip2 -d"}};
    const uint8_t *start;
    TRY(tar_look(tar, 0, TAR_BLOCK, &start));
    for (size_t i = 0; i < sizeof packers / sizeof *packers; i++)
        if (memcmp(start, packers[i].bytes, strlen(packers[i].bytes)) == 0)
            return fail(STATUS_USAGE,
                        "%s is compressed by %s, but pictures are read in any order; unpack it "
                        "once: %s",
                        tar->path, packers[i].name, packers[i].command);
    return STATUS_OK;
}

static enum status make_index(struct index *index, struct tar *tar) {
    TRY(check_magic(tar));
    TRY(read_members(index, tar));
    picture_list_sort(&index->classes);
    for (size_t i = 0; i < index->images.count; i++)
        TRY(match(index, i));
    tell_unused_labels(index);
    return STATUS_OK;
}

enum status shard_index(struct source_part *part, int file, const char *path) {
    const char *slash = strrchr(path, '/');
    struct index index = {.part = part, .shard = slash != NULL ? slash + 1 : path};
    struct tar *tar;
    TRY(allocate(&tar, 1, sizeof *tar, "the window on a shard"));
    enum status status = tar_begin(tar, file, path);
    if (status == STATUS_OK)
        status = make_index(&index, tar);
    picture_list_release(&index.images);
    picture_list_release(&index.classes);
    free(tar);
    return status;
}
