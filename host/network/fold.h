/* Batch-norms as parts of the convolutions before them, as a deployed network runs. */
#ifndef TAPER_FOLD_H
#define TAPER_FOLD_H

#include "network/parameters.h"

/* Every convolution's weights scaled, and in the place of its norm's bias the convolution's own.
 * Everything is laid out as the two lists say; folded[parameters->size]. */
void fold_norms(const struct parameters *parameters, const real *weights,
                const struct parameters *statistics, const real *statistic_values, double epsilon,
                real *folded);

#endif
