/* search.jsonl: every sample that was scored, a line each, whole iterations at a time. Each line
 * also names the hash of the search's keys, so that samples of other keys are never taken up. */
#ifndef TAPER_SAMPLE_FILE_H
#define TAPER_SAMPLE_FILE_H

#include "report/json_lines.h"
#include "search/strategy.h"

struct sample_file {
    struct json_lines lines;
    const struct search_space *space;
    char hash[32];
};

/* Samples on file of the same hash are given in *samples (the caller's to free()); a file of
 * another hash is set aside as PATH.previous. */
enum status sample_file_open(struct sample_file *file, const char *path,
                             const struct search_space *space, const char *hash,
                             struct sample **samples, int *count);
void sample_file_close(struct sample_file *file);

enum status sample_file_keep(struct sample_file *file, int count); /* the first ones */
/* Appends the samples of an iteration; they survive a power cut from then on. */
enum status sample_file_append(struct sample_file *file, const struct sample *samples, int count);

#endif
