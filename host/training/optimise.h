/* One optimiser step over the flat vectors of a training state. */
#ifndef TAPER_OPTIMISE_H
#define TAPER_OPTIMISE_H

#include "training/state.h"

/* Weights decay, batch-norm parameters and biases do not: [parameters.size] bytes in memory of the
 * operations, the caller's to give back. */
enum status decays_of(uint8_t **decays, const struct parameters *parameters,
                      const struct memory *memory);

/* Changes weights, velocity and square; average is the caller's business. */
enum status optimise(struct training_state *state, const struct training_config *config,
                     const uint8_t *decays, const struct ops *ops, double rate,
                     const real *gradient);

#endif
