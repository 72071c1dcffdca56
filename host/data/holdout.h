/* The hold-out set of a source of pictures. */
#ifndef TAPER_HOLDOUT_H
#define TAPER_HOLDOUT_H

#include "data/picture_source.h"
#include "data/split.h"

/* split_by_label() over the source's pictures: the same for a folder, shards and a pack of the same
 * pictures in the same order. */
enum status holdout_split(struct split *split, const struct picture_source *source,
                          const struct data_config *config, uint64_t seed);

/* Writes the names of the hold-out pictures to `path`, holdout.txt of a run, a line each. */
enum status holdout_write(const char *path, const struct picture_source *source,
                          const struct split *split);

#endif
