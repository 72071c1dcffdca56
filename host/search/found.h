/* found.yaml, the result of a search; found-N.yaml, other points of its trade-off curve; and
 * found-sample-N.yaml, any of its samples. */
#ifndef TAPER_FOUND_H
#define TAPER_FOUND_H

#include "search/space.h"

/* Is there a found.yaml of this configuration? Then search.jsonl must be the one that it was found
 * in: one that is missing, cut off or changed is an error. */
enum status search_is_done(const struct run *run, bool *done);
enum status search_must_be_done(const struct run *run);

/* Writes the sample's stand-alone network as NAME of the run folder. */
enum status found_write(const struct run *run, const struct search_space *space,
                        const struct sample *sample, const char *name);

/* Write one more network of a finished search as NAME.yaml: point N of its trade-off curve (from 0:
 * the initial network, or random search's first sample), or sample N of search.jsonl. */
enum status search_point(struct run *run, int point, const char *name);
enum status search_sample(struct run *run, int number, const char *name);

#endif
