/* The learning rate as a pure function of the step, so that nothing of it needs saving. */
#ifndef TAPER_SCHEDULE_H
#define TAPER_SCHEDULE_H

#include "training/training.h"

/* Steps of the whole training. batches: per epoch. */
int64_t schedule_steps(const struct training_config *config, int batches);

/* Rate of step number `step` (from 0): linear from 0 over warmup_epochs, then a cosine to 0 at the
 * end of the training, or a factor every step_epochs. */
double schedule_rate(const struct training_config *config, int batches, int64_t step);

/* Decay of the weights' average at a step. Early it is smaller, (1 + step) / (10 + step), so that a
 * short training's average does not remember the initial weights. */
double schedule_average(const struct training_config *config, int64_t step);

#endif
