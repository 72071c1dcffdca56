#ifndef TAPER_REFERENCE_CONVOLUTION_H
#define TAPER_REFERENCE_CONVOLUTION_H

#include "ops.h"

/* Dense, pointwise and depthwise. */
enum status reference_convolution_forward(const struct convolution *, const struct slice *);
enum status reference_convolution_backward(const struct convolution *, const struct slice *);

#endif
