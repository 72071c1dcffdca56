/* search.jsonl: every sample that was scored, a line each, whole iterations at a time. Each line
 * also names the hash of the search's keys, so that samples of other keys are never taken up.
 * search.scores.jsonl beside it keeps the scores of the iteration that is under way: an interrupted
 * one goes on at the sample where it was cut. */
#ifndef TAPER_SAMPLE_FILE_H
#define TAPER_SAMPLE_FILE_H

#include "report/json_lines.h"
#include "search/strategy.h"

struct sample_file {
    struct json_lines lines;
    const struct search_space *space;
    char hash[32];
    struct json_lines scores;
    json_t *known; /* scores on file of the iteration under way: number -> score */
};

/* Samples on file, the caller's to free(). A file of another hash is set aside as PATH.previous. */
enum status samples_read(const char *path, const struct search_space *space, const char *hash,
                         struct sample **samples, int *count);

/* path: of search.jsonl; scores_path: of search.scores.jsonl. There is something to close also on
 * failure. */
enum status sample_file_open(struct sample_file *file, const char *path, const char *scores_path,
                             const struct search_space *space, const char *hash);
void sample_file_close(struct sample_file *file);

/* false: not scored yet. */
bool sample_file_score(const struct sample_file *file, struct sample *sample);
enum status sample_file_keep_score(struct sample_file *file, const struct sample *sample);

enum status sample_file_keep(struct sample_file *file, int count); /* the first ones */
/* Appends the samples of an iteration; they survive a power cut from then on. */
enum status sample_file_append(struct sample_file *file, const struct sample *samples, int count);

#endif
