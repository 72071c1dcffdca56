/* What a found network takes over from its super-network. */
#ifndef TAPER_INHERIT_H
#define TAPER_INHERIT_H

#include "training/run.h"

/* Weights of `alone` (an extraction of the run's network) cut from the super-network's, and
 * statistics calibrated with them: the network that the search scored. */
enum status inherit(const struct run *run, const struct network *alone,
                    const struct parameters *parameters, real *weights, real *statistics);

#endif
