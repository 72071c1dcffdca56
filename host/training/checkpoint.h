/* A training state as a file. The last two are kept: PATH, and PATH.previous for the case that the
 * newest cannot be read. */
#ifndef TAPER_CHECKPOINT_H
#define TAPER_CHECKPOINT_H

#include "report/log.h"
#include "training/state.h"

enum status checkpoint_save(const struct training_state *state, const char *path, uint64_t hash);

enum checkpoint_found {
    CHECKPOINT_NONE,
    CHECKPOINT_LOADED,
    CHECKPOINT_OTHER_KEYS /* belongs to another configuration hash; the state is unchanged */
};
/* An error when files are there but none can be read. */
enum status checkpoint_load(struct training_state *state, const char *path, uint64_t hash,
                            struct log *log, enum checkpoint_found *found);

void checkpoint_remove(const char *path); /* both files, if they are there */

#endif
