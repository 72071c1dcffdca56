/* The samples of an iteration, scored in rounds: one for each rank, which scores it alone. Rank 0
 * searches and keeps the files; the others help until it is over. What a sample scores depends on
 * the sample alone, so that the number of ranks changes no result. */
#ifndef TAPER_SCORE_SAMPLES_H
#define TAPER_SCORE_SAMPLES_H

#include "search/sample_file.h"
#include "search/scoring.h"
#include "training/run.h"

/* Of rank 0. Scores that are on file are taken from there; each new one is kept at once. An
 * interrupt ends it between two rounds with STATUS_INTERRUPTED. */
enum status score_samples(struct run *run, struct scorer *scorer, struct sample_file *file,
                          struct sample *samples, int count);

/* Of rank 0: the search ended so (STATUS_OK or STATUS_INTERRUPTED; else its end tells the others).
 * Returns `status`, or what went wrong. */
enum status score_end(struct run *run, enum status status);

/* Of the others: until rank 0 is at its end, whose status is returned. */
enum status score_help(struct run *run, struct scorer *scorer);

#endif
