/* What a found network takes over from its super-network. */
#ifndef TAPER_INHERIT_H
#define TAPER_INHERIT_H

#include "training/run.h"

/* Weights of `alone` (an extraction of the run's network) cut from the super-network's, and
 * statistics calibrated with them: the network that the search scored. `resolution`: the option
 * that its pictures are of; their calibration set is decoded. */
enum status inherit(const struct run *run, const struct network *alone, int resolution,
                    const struct parameters *parameters, real *weights, real *statistics);

#endif
