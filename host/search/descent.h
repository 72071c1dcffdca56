/* Coordinate descent: the current network becomes the best-scoring of samples that are a little
 * smaller, until it meets the budgets. What the multi-layer and the single-layer kind share; they
 * differ in which layers a sample shrinks.
 */
#ifndef TAPER_DESCENT_H
#define TAPER_DESCENT_H

#include "search/progress.h"
#include "search/shrink.h"

enum { REDRAWS = 100 };

struct descent {
    struct progress progress;
    double initial[MAX_BUDGETS];
    struct sample current; /* once iteration 0, the initial network, was told */
    /* of the iteration that is being asked */
    double targets[MAX_BUDGETS];
    struct layer_list layers; /* of the current network, that can still shrink */
    struct sample known;      /* the best sample that is no news; none: known.known is false */
};

enum drawn {
    DRAWN_NEW,    /* added to the answer */
    DRAWN_KNOWN,  /* only sub-networks that were scored before, or are in the answer */
    DRAWN_MISSED, /* all layers at their smallest, and the targets not met */
};

/* room: the most samples of an iteration. */
enum status descent_create(void **state, const struct search_space *space, int room);
void descent_release(void *state);

/* draw_all makes all samples of an iteration by descent_draw(). */
enum status descent_ask(struct descent *descent,
                        enum status (*draw_all)(struct descent *descent, int iteration),
                        struct sample **samples, int *count);
enum status descent_tell(void *state, struct sample *samples, int count);
bool descent_best(const void *state, struct sample *best);

/* One sample with `shrunk` layers shrunk, picked at random, redrawn up to REDRAWS times. first: a
 * layer that is always among them, as an index into descent->layers, or -1. */
enum status descent_draw(struct descent *descent, struct random_sequence *random, int shrunk,
                         int first, enum drawn *drawn);

#endif
