/* What a strategy may use, made from a run's configuration. */
#ifndef TAPER_SPACE_H
#define TAPER_SPACE_H

#include "search/strategy.h"
#include "training/run.h"

/* Borrows the run's network. Budgets given as a share become shares of the initial network's
 * metric. On failure there is still something to release. */
enum status space_create(struct search_space *space, const struct run *run);
void space_release(struct search_space *space); /* a zeroed one is fine */

/* "macs 2.410 M, latency 3.2" */
void space_describe(const struct search_space *space, const struct sample *sample, char *text,
                    size_t size);

#endif
