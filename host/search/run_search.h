/* Step 2 of a run: a strategy asks, the super-network scores, until the budgets are met. */
#ifndef TAPER_RUN_SEARCH_H
#define TAPER_RUN_SEARCH_H

#include "training/run.h"

enum { SEARCH_WARNING = 256 };

/* Says what is wrong with the budgets of a search that is not done yet, before hours go into a
 * super-network; the run need not be open. `warning` may come out as "". */
enum status search_check(const struct run *run, char warning[SEARCH_WARNING]);

/* Leaves search.jsonl and found.yaml (found.h); does nothing when found.yaml is done. Takes up the
 * samples of an interrupted search. */
enum status run_search(struct run *run);

#endif
