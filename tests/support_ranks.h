/* Ranks as threads of one process: a transport for tests, and what runs on it. */
#ifndef TAPER_SUPPORT_RANKS_H
#define TAPER_SUPPORT_RANKS_H

#include "cluster/cluster.h"

enum { MOST_TEST_RANKS = 8 };

/* Runs work() on so many ranks at a time, each on a thread with its own cluster, which is closed
 * with the status returned. statuses[rank], sentences[rank]: what came of it; may be NULL. */
enum { SENTENCE_SIZE = 512 };
void ranks_run(int ranks, const struct cluster_config *config,
               enum status (*work)(struct cluster *cluster, void *context), void *context,
               enum status *statuses, char (*sentences)[SENTENCE_SIZE]);

#endif
