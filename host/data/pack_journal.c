#include "data/pack_journal.h"
#include "support/file.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal_header {
    char magic[8];
    uint64_t origin;
};

static const char magic[8] = {'t', 'a', 'p', 'e', 'r', 'j', 'r', '1'};

static enum status open_file(const char *path, int *file) {
    *file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*file < 0)
        return fail(STATUS_FAILED, "cannot create %s: %s", path, strerror(errno));
    return STATUS_OK;
}

static enum status lock(const struct pack_journal *journal) {
    struct stat mine, there;
    if (flock(journal->pack, LOCK_EX | LOCK_NB) != 0)
        return fail(STATUS_FAILED, "%s is being written by another taper", journal->pack_path);
    if (fstat(journal->pack, &mine) != 0 || stat(journal->pack_path, &there) != 0 ||
        mine.st_ino != there.st_ino)
        return fail(STATUS_FAILED, "another taper has just finished with %s: run this again",
                    journal->pack_path);
    return STATUS_OK;
}

static enum status cut(int file, const char *path, uint64_t size) {
    if (ftruncate(file, (off_t)size) != 0)
        return fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    return STATUS_OK;
}

/* Entries up to the first that does not follow from those before it. */
static void take_up(struct pack_journal *journal, int found, uint64_t pack_size) {
    for (; journal->count < found; journal->count++) {
        const struct picture_entry *entry = &journal->entries[journal->count];
        if (entry->size == 0)
            continue;
        if (entry_place(entry) != journal->end || entry->size > pack_size ||
            journal->end > pack_size - entry->size)
            break;
        journal->end += entry->size;
    }
}

static enum status read_journal(struct pack_journal *journal, uint64_t size) {
    struct journal_header header = {{0}, 0};
    struct stat facts;
    if (size >= sizeof header)
        TRY(file_read_at(journal->file, journal->path, 0, &header, sizeof header));
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.origin != journal->origin)
        return STATUS_OK;
    if (fstat(journal->pack, &facts) != 0)
        return fail(STATUS_FAILED, "cannot read %s: %s", journal->pack_path, strerror(errno));
    uint64_t found = (size - sizeof header) / sizeof *journal->entries;
    if (found > (uint64_t)journal->room)
        return STATUS_OK;
    TRY(file_read_at(journal->file, journal->path, sizeof header, journal->entries,
                     (size_t)found * sizeof *journal->entries));
    take_up(journal, (int)found, (uint64_t)facts.st_size);
    return STATUS_OK;
}

/* The header is written when nothing was taken up: of another origin, or of none. */
static enum status begin(struct pack_journal *journal) {
    struct journal_header header = {{0}, journal->origin};
    struct stat facts;
    if (fstat(journal->file, &facts) != 0)
        return fail(STATUS_FAILED, "cannot read %s: %s", journal->path, strerror(errno));
    journal->end = sizeof(struct pack_header);
    TRY(read_journal(journal, (uint64_t)facts.st_size));
    journal->written = journal->count;
    memcpy(header.magic, magic, sizeof magic);
    if (journal->count == 0)
        TRY(cut(journal->file, journal->path, 0));
    TRY(cut(journal->file, journal->path,
            sizeof header + (uint64_t)journal->count * sizeof *journal->entries));
    TRY(cut(journal->pack, journal->pack_path, journal->end));
    return journal->count > 0
               ? STATUS_OK
               : file_write_at(journal->file, journal->path, 0, &header, sizeof header);
}

enum status pack_journal_open(struct pack_journal *journal, const char *path, uint64_t origin,
                              int pictures) {
    *journal = (struct pack_journal){.pack = -1, .file = -1, .origin = origin, .room = pictures};
    int length = snprintf(journal->pack_path, PATH_MAX, "%s.partial", path);
    if (length + (int)strlen(".index") >= PATH_MAX)
        return fail(STATUS_USAGE, "%.200s...: the name is too long", path);
    strcpy(stpcpy(journal->path, journal->pack_path), ".index");
    TRY(allocate(&journal->entries, (size_t)pictures, sizeof *journal->entries,
                 "the index of the pack"));
    TRY(open_file(journal->pack_path, &journal->pack));
    TRY(lock(journal));
    TRY(open_file(journal->path, &journal->file));
    return begin(journal);
}

enum status pack_journal_add(struct pack_journal *journal, const void *data, uint32_t size,
                             int label) {
    if (journal->end > MOST_PLACE - size)
        return fail(STATUS_USAGE, "%s would become too large", journal->pack_path);
    TRY(file_write_at(journal->pack, journal->pack_path, journal->end, data, size));
    journal->entries[journal->count++] = (struct picture_entry){
        entry_at(size > 0 ? journal->end : 0, label), size, pack_checksum(data, size)};
    journal->end += size;
    return STATUS_OK;
}

static enum status sync_file(int file, const char *path) {
    if (fdatasync(file) != 0)
        return fail(STATUS_FAILED, "cannot write %s to disk: %s", path, strerror(errno));
    return STATUS_OK;
}

enum status pack_journal_save(struct pack_journal *journal) {
    size_t entry = sizeof *journal->entries;
    if (journal->written == journal->count)
        return STATUS_OK;
    TRY(sync_file(journal->pack, journal->pack_path)); /* no entry before its picture */
    TRY(file_write_at(journal->file, journal->path,
                      sizeof(struct journal_header) + (uint64_t)journal->written * entry,
                      journal->entries + journal->written,
                      (size_t)(journal->count - journal->written) * entry));
    TRY(sync_file(journal->file, journal->path));
    journal->written = journal->count;
    return STATUS_OK;
}

void pack_journal_close(struct pack_journal *journal, bool keep) {
    if (!keep && journal->file >= 0)
        unlink(journal->path);
    if (!keep && journal->file >= 0)
        unlink(journal->pack_path); /* gone already when it got its name */
    if (journal->file >= 0)
        close(journal->file);
    if (journal->pack >= 0)
        close(journal->pack);
    free(journal->entries);
    *journal = (struct pack_journal){.pack = -1, .file = -1};
}
