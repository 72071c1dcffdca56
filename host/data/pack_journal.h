/* What is on disk of a pack that grows: pack_write.h. */
#ifndef TAPER_PACK_JOURNAL_H
#define TAPER_PACK_JOURNAL_H

#include "data/pack_format.h"
#include "data/picture_source.h"

struct pack_journal {
    char pack_path[PATH_MAX], path[PATH_MAX]; /* FILE.partial, FILE.partial.index */
    int pack, file;                           /* open, the pack locked; -1: not */
    uint64_t origin;
    struct picture_entry *entries; /* [room]: of the source's pictures; size 0: left out; owned */
    int count, room;               /* entries so far; all there will be */
    int written;                   /* entries in the file */
    uint64_t end;                  /* of the last picture's data in the pack */
};

/* Takes up what a call before left, if it was of the same origin, or begins. Another process that
 * works on it is an error. */
enum status pack_journal_open(struct pack_journal *journal, const char *path, uint64_t origin,
                              int pictures);

/* Puts a picture's bytes behind the last one's. size 0: it is left out. */
enum status pack_journal_add(struct pack_journal *journal, const void *data, uint32_t size,
                             int label);

/* From here on a kill, or a loss of power, does not undo what was added. */
enum status pack_journal_save(struct pack_journal *journal);

/* Closes; `keep` false: removes both files. */
void pack_journal_close(struct pack_journal *journal, bool keep);

#endif
