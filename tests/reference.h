/* All operations of ops.h once more, as plain as their formulas: no vectors, no panels, everything
 * in double and one element at a time. The oracle of every backend. */
#ifndef TAPER_REFERENCE_H
#define TAPER_REFERENCE_H

#include "ops.h"

const struct ops *ops_reference(void);

/* activation(y) and its derivative. */
double reference_activation(enum activation activation, double y, double *slope);

/* norm->partial and row_count of a segment of z, as whoever writes z leaves them. */
void reference_moments(const struct batch_norm *norm, const struct tensor *z,
                       const struct segment *segment);

#endif
