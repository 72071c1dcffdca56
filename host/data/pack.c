/* The source "pack": pack_format.h. Its index is read, not mapped: a file that is cut off or a disk
 * that fails while we work is a sentence then, and no SIGBUS. */
#include "data/pack_format.h"
#include "data/source_type.h"
#include "support/file.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_CLASS_BYTES = 1 << 26 };

struct pack_source {
    int file;
    struct pack_header header;
};

static enum status damaged(const char *path, const char *what) {
    return fail(STATUS_USAGE, "%s is damaged or cut off: %s", path, what);
}

/* Whether `size` bytes at `offset` lie behind the header and within the file. */
static bool is_within(const struct pack_header *header, uint64_t offset, uint64_t size) {
    return offset >= sizeof *header && offset <= header->size && size <= header->size - offset;
}

static enum status check_header(const struct pack_header *header, const char *path,
                                uint64_t file_size) {
    if (header->checksum != pack_header_checksum(header))
        return damaged(path, "its header has another checksum");
    if (header->size != file_size)
        return damaged(path, "it has not the size that its header states");
    if (header->count > INT_MAX || header->classes > MOST_CLASSES)
        return damaged(path, "it states too many pictures or classes");
    if (!is_within(header, header->index_offset, header->count * sizeof(struct picture_entry)))
        return damaged(path, "its index is not within the file");
    if (header->classes_size > MOST_CLASS_BYTES ||
        !is_within(header, header->classes_offset, header->classes_size))
        return damaged(path, "its classes are not within the file");
    if (header->names_offset != 0 &&
        !is_within(header, header->names_offset, (header->count + 1) * sizeof(uint64_t)))
        return damaged(path, "its names are not within the file");
    return STATUS_OK;
}

enum status pack_read_header(int file, const char *path, struct pack_header *header) {
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return fail(STATUS_USAGE, "cannot read %s: it is not a file", path);
    if ((uint64_t)facts.st_size < sizeof *header)
        return damaged(path, "it has no whole header");
    TRY(file_read_at(file, path, 0, header, sizeof *header));
    if (memcmp(header->magic, pack_magic, sizeof pack_magic) != 0)
        return fail(STATUS_USAGE, "%s is no pack", path);
    if (header->version != PACK_VERSION)
        return fail(STATUS_USAGE, "%s is a pack of version %u; this program reads version %d", path,
                    header->version, PACK_VERSION);
    return check_header(header, path, (uint64_t)facts.st_size);
}

static enum status check_index(const struct picture_source *source,
                               const struct pack_header *header) {
    const struct picture_entry *entries = source->list.entries;
    if (pack_hash(entries, source->list.count * sizeof *entries) != header->index_checksum)
        return damaged(source->path, "its index has another checksum");
    for (size_t i = 0; i < source->list.count; i++) {
        uint64_t place = entry_place(&entries[i]);
        if (entry_label(&entries[i]) >= (int)header->classes || place < sizeof *header ||
            place > header->index_offset || entries[i].size > header->index_offset - place ||
            entries[i].size == 0 || entries[i].size > MOST_PICTURE_BYTES)
            return damaged(source->path, "its index is wrong");
    }
    return STATUS_OK;
}

static enum status read_index(struct picture_source *source) {
    const struct pack_source *own = source->own;
    size_t count = (size_t)own->header.count;
    TRY(allocate(&source->list.entries, count, sizeof *source->list.entries, source->path));
    source->list.count = source->list.room = count;
    TRY(file_read_at(own->file, source->path, own->header.index_offset, source->list.entries,
                     count * sizeof *source->list.entries));
    return check_index(source, &own->header);
}

/* There is something to release also after an error. */
static enum status read_classes(struct class_list *list, int file, const char *path,
                                const struct pack_header *header) {
    size_t size = (size_t)header->classes_size;
    char *text;
    *list = (struct class_list){0};
    if (size == 0)
        return STATUS_OK;
    TRY(allocate(&text, size + 1, 1, path));
    enum status status = file_read_at(file, path, header->classes_offset, text, size);
    if (status == STATUS_OK && pack_hash(text, size) != header->classes_checksum)
        status = damaged(path, "its classes have another checksum");
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    TRY(class_list_parse(list, text, size, path));
    if (list->count != (int)header->classes)
        return damaged(path, "it states another number of classes than it names");
    return STATUS_OK;
}

static enum status compare_classes(const struct picture_source *source, int file,
                                   const char *path) {
    struct pack_header header;
    struct class_list classes;
    TRY(pack_read_header(file, path, &header));
    enum status status = read_classes(&classes, file, path, &header);
    if (status == STATUS_OK &&
        class_list_compare(&source->classes, source->path, &classes, path) != STATUS_OK)
        status = fail_in(STATUS_USAGE, "both parts must be packed anew, with the same classes");
    class_list_release(&classes);
    return status;
}

/* Labels of a test part mean the training part's classes: where that can be seen, it must be so. */
static enum status check_training_part(const struct picture_source *source,
                                       const struct data_config *config) {
    char path[PATH_MAX];
    TRY(path_in(path, config->folder, config->train[0] != '\0' ? config->train : "train.pack"));
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return STATUS_OK;
    enum status status = compare_classes(source, file, path);
    close(file);
    return status;
}

static enum status pack_open(struct picture_source *source, const struct data_config *config,
                             enum data_part part, struct pool *pool) {
    const char *name = part == DATA_TRAIN ? config->train : config->test;
    struct pack_source *own;
    (void)pool;
    if (name[0] == '\0')
        name = part == DATA_TRAIN ? "train.pack" : "val.pack";
    TRY(path_in(source->path, config->folder, name));
    if (config->class_list[0] != '\0')
        return fail(STATUS_USAGE, "%s has classes of its own: data.class_list is for packing it",
                    source->path);
    TRY(allocate(&own, 1, sizeof *own, "the source of pictures"));
    source->own = own;
    own->file = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (own->file < 0)
        return fail(STATUS_USAGE, "cannot open %s: %s", source->path, strerror(errno));
    TRY(pack_read_header(own->file, source->path, &own->header));
    source->class_count = (int)own->header.classes;
    TRY(read_classes(&source->classes, own->file, source->path, &own->header));
    if (part == DATA_TEST)
        TRY(check_training_part(source, config));
    TRY(read_index(source));
    posix_fadvise(own->file, 0, 0, POSIX_FADV_RANDOM);
    return STATUS_OK;
}

static enum status pack_read(const struct picture_source *source, int picture,
                             struct picture_bytes *bytes) {
    const struct pack_source *own = source->own;
    const struct picture_entry *entry = &source->list.entries[picture];
    TRY(picture_bytes_resize(bytes, entry->size));
    TRY(file_read_at(own->file, source->path, entry_place(entry), bytes->data, bytes->size));
    if (pack_checksum(bytes->data, bytes->size) != entry->detail)
        return fail(STATUS_USAGE,
                    "its bytes in %s have another checksum than when they were packed",
                    source->path);
    return STATUS_OK;
}

static enum status pack_size(const struct picture_source *source, int picture, uint64_t *size) {
    *size = source->list.entries[picture].size;
    return STATUS_OK;
}

/* False: it has none, or none that can be read. */
static bool read_name(const struct picture_source *source, int picture, char text[PICTURE_NAME]) {
    const struct pack_source *own = source->own;
    const struct pack_header *header = &own->header;
    uint64_t ends[2], table = (header->count + 1) * sizeof *ends;
    if (header->names_offset == 0 ||
        pread(own->file, ends, sizeof ends,
              (off_t)(header->names_offset + (uint64_t)picture * sizeof *ends)) != sizeof ends)
        return false;
    uint64_t room = header->size - header->names_offset - table, length = ends[1] - ends[0];
    if (ends[0] > ends[1] || ends[1] > room || length == 0 || length >= PICTURE_NAME)
        return false;
    text[length] = '\0';
    return pread(own->file, text, (size_t)length,
                 (off_t)(header->names_offset + table + ends[0])) == (ssize_t)length;
}

static void pack_name_of(const struct picture_source *source, int picture,
                         char text[PICTURE_NAME]) {
    const char *slash = strrchr(source->path, '/');
    if (!read_name(source, picture, text))
        snprintf(text, PICTURE_NAME, "picture %d of %.*s", picture, NAME_MAX,
                 slash != NULL ? slash + 1 : source->path);
}

static void pack_close(struct picture_source *source) {
    struct pack_source *own = source->own;
    if (own->file >= 0)
        close(own->file);
    free(own);
}

const struct source_type source_pack = {"pack",    pack_open,    pack_read,
                                        pack_size, pack_name_of, pack_close};
