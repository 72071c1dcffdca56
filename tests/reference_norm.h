#ifndef TAPER_REFERENCE_NORM_H
#define TAPER_REFERENCE_NORM_H

#include "ops.h"

enum status reference_batch_norm_forward(const struct batch_norm *, const struct tensor *z,
                                         const struct slice *);
enum status reference_batch_norm_backward(const struct batch_norm *, const struct tensor *z,
                                          const struct slice *);
enum status reference_combine_forward(const struct combine *, const struct slice *);
enum status reference_combine_backward(const struct combine *, const struct slice *);

#endif
