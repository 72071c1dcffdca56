/* One optimiser step over the flat vectors of a training state. */
#ifndef TAPER_OPTIMISE_H
#define TAPER_OPTIMISE_H

#include "training/state.h"

/* Neighbouring parameters that are treated alike: weights decay, batch-norm parameters and biases
 * do not. */
struct decay_range {
    size_t first, count;
    bool decays;
};
struct decay_ranges {
    int count;
    struct decay_range *list; /* owned */
};
enum status decay_ranges_of(struct decay_ranges *ranges, const struct parameters *parameters);
void decay_ranges_release(struct decay_ranges *ranges);

/* Changes weights, velocity and square; average is the caller's business. */
enum status optimise(struct training_state *state, const struct training_config *config,
                     const struct decay_ranges *ranges, const struct ops *ops, double rate,
                     const real *gradient);

#endif
