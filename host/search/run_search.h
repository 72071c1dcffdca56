/* Step 2 of a run: a strategy asks, the super-network scores, until the budgets are met. */
#ifndef TAPER_RUN_SEARCH_H
#define TAPER_RUN_SEARCH_H

#include "training/run.h"

/* Says what is wrong with the budgets before hours go into a super-network. */
enum status search_check(struct run *run);

/* Leaves search.jsonl and found.yaml (found.h); does nothing when found.yaml is done. Takes up the
 * samples of an interrupted search. */
enum status run_search(struct run *run);

#endif
