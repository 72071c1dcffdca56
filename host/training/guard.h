/* The divergence guard: a loss that is not finite, or that jumps, is not trained on. The training
 * goes back to the last good state, leaves the rest of the running window of steps out, and goes on
 * with a lower learning rate; after guard_returns times it stops.
 *
 * The state at the beginning of a window is good once the loss of the window's first batch is
 * accepted. Everything is a pure function of the state (which holds struct guard) and the step, so
 * that a training may be cut at any point, between a return and the next window too.
 */
#ifndef TAPER_GUARD_H
#define TAPER_GUARD_H

#include "training/state.h"

/* Whether a batch's loss may be trained on; an accepted one joins the running mean. A jump is a
 * loss over guard_jump times the lowest that its running mean has been (a mean that creeps up does
 * not hide it), and over that of guessing: a nearly perfect network may have one bad batch. */
bool guard_accepts(struct guard *guard, const struct training_config *config, int classes,
                   double loss);

/* What the returns so far leave of the learning rate. */
double guard_factor(const struct guard *guard, const struct training_config *config);

/* To be called after the first batch of a window is accepted: keeps `now` as the good state. */
enum status guard_keep(struct training_state *state, struct training_state *now,
                       const struct memory *memory);
bool guard_begins_window(const struct training_state *state, const struct training_config *config);

/* Makes `now` the good state again, and state->step the first step of the next window. Nothing to
 * go back to, or one time too many: an error that tells what was wrong with step and loss. */
struct guard_task {
    const char *name; /* section of the keys: "train" */
    const struct training_config *config;
    const struct memory *memory;
    struct log *log;
    int64_t steps; /* of the whole training */
};
enum status guard_return(const struct guard_task *task, struct training_state *state,
                         struct training_state *now, double loss);

#endif
