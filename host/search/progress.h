/* What every strategy keeps: how far it is, what it knows, and the answer that waits to be scored.
 */
#ifndef TAPER_PROGRESS_H
#define TAPER_PROGRESS_H

#include "search/ledger.h"
#include "search/strategy.h"

struct progress {
    const struct search_space *space;
    struct ledger ledger;
    int iteration;          /* the one that is asked or told next */
    int told;               /* samples of all iterations before */
    int count, room;        /* samples of the iteration asked so far */
    struct sample *samples; /* [room] */
};

enum status progress_create(struct progress *progress, const struct search_space *space, int room);
void progress_release(struct progress *progress);

/* Neither scored nor in the answer. */
bool progress_is_new(const struct progress *progress, const struct subnetwork *sub);

/* Adds a sample with sub and metrics to the answer, and numbers it. */
void progress_add(struct progress *progress, const struct sample *sample);

/* Gives the answer away. */
void progress_answer(struct progress *progress, struct sample **samples, int *count);

/* Lets a strategy draw its answer, unless there is one already, and gives it away. */
enum status progress_ask(struct progress *progress, enum status (*draw)(void *strategy),
                         void *strategy, struct sample **samples, int *count);

/* Are these samples a whole, scored iteration, the next one? */
enum status progress_check(const struct progress *progress, const struct sample *samples,
                           int count);

/* Remembers metrics and scores; on to the next iteration. */
enum status progress_tell(struct progress *progress, const struct sample *samples, int count);

/* The highest score; of equal ones the lowest first metric, then the first. */
int best_of(const struct sample *samples, int count);
bool better(const struct sample *a, const struct sample *b);

/* Every metric at or under its limit. */
bool all_within(const struct search_space *space, const double *metrics, const double *limits);

#endif
