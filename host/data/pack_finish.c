#include "data/pack_finish.h"
#include "data/class_list.h"
#include "support/file.h"
#include "support/memory.h"
#include "support/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The end of the file as it is printed. */
struct ending {
    FILE *file;
    const struct pack_journal *journal;
    const struct picture_source *source;
    struct pack_header header;
};

static uint64_t place(const struct ending *ending) {
    return (uint64_t)ftello(ending->file);
}

static enum status put_index(struct ending *ending) {
    const struct pack_journal *journal = ending->journal;
    struct picture_entry *kept;
    size_t count = 0;
    TRY(allocate(&kept, (size_t)journal->count, sizeof *kept, "the index of the pack"));
    for (int i = 0; i < journal->count; i++)
        if (journal->entries[i].size > 0)
            kept[count++] = journal->entries[i];
    ending->header.count = count;
    ending->header.index_offset = place(ending);
    ending->header.index_checksum = pack_hash(kept, count * sizeof *kept);
    fwrite(kept, sizeof *kept, count, ending->file);
    free(kept);
    return STATUS_OK;
}

static enum status put_classes(struct ending *ending) {
    static const char what[] = "the classes of the pack";
    const struct class_list *classes = picture_source_class_list(ending->source);
    struct text text;
    FILE *file;
    ending->header.classes = (uint32_t)picture_source_classes(ending->source);
    ending->header.classes_offset = place(ending);
    if (classes == NULL)
        return STATUS_OK;
    TRY(text_open(&text, &file, what));
    class_list_write(classes, file);
    TRY(text_close(&text, file, what));
    ending->header.classes_size = text.size;
    ending->header.classes_checksum = pack_hash(text.bytes, text.size);
    fwrite(text.bytes, 1, text.size, ending->file);
    free(text.bytes);
    return STATUS_OK;
}

static void put_names(struct ending *ending) {
    const struct pack_journal *journal = ending->journal;
    char name[PICTURE_NAME];
    uint64_t offset = 0;
    ending->header.names_offset = place(ending);
    fwrite(&offset, sizeof offset, 1, ending->file);
    for (int i = 0; i < journal->count; i++) {
        if (journal->entries[i].size == 0)
            continue;
        offset += strlen(picture_source_name(ending->source, i, name));
        fwrite(&offset, sizeof offset, 1, ending->file);
    }
    for (int i = 0; i < journal->count; i++)
        if (journal->entries[i].size > 0)
            fputs(picture_source_name(ending->source, i, name), ending->file);
}

static enum status print_ending(struct ending *ending, const char *path) {
    if (fseeko(ending->file, (off_t)ending->journal->end, SEEK_SET) != 0)
        return fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    TRY(put_index(ending));
    if (ending->header.count == 0)
        return fail(STATUS_USAGE, "no picture could be read: there is nothing to pack");
    TRY(put_classes(ending));
    put_names(ending);
    ending->header.size = place(ending);
    if (fflush(ending->file) != 0 || ferror(ending->file))
        return fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    return STATUS_OK;
}

/* Through a stream of its own, as it is many small pieces. */
static enum status write_ending(struct ending *ending, const char *path) {
    int copy = dup(ending->journal->pack);
    ending->file = copy >= 0 ? fdopen(copy, "r+") : NULL;
    if (ending->file == NULL) {
        enum status status = fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
        if (copy >= 0)
            close(copy);
        return status;
    }
    enum status status = print_ending(ending, path);
    if (fclose(ending->file) != 0 && status == STATUS_OK)
        status = fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    return status;
}

enum status pack_finish(struct pack_journal *journal, const struct picture_source *source,
                        const char *path, struct pack_result *result) {
    struct ending ending = {.journal = journal, .source = source};
    struct pack_header *header = &ending.header;
    header->version = PACK_VERSION;
    header->origin = journal->origin;
    memcpy(header->magic, pack_magic, sizeof pack_magic);
    TRY(write_ending(&ending, journal->pack_path));
    header->checksum = pack_header_checksum(header);
    TRY(file_write_at(journal->pack, journal->pack_path, 0, header, sizeof *header));
    if (fsync(journal->pack) != 0)
        return fail(STATUS_FAILED, "cannot write %s to disk: %s", journal->pack_path,
                    strerror(errno));
    result->pictures = (int)header->count;
    result->bytes = header->size;
    return file_move(journal->pack_path, path);
}
