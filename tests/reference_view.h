/* How the reference reads a view, and how it leaves a view's gradient. */
#ifndef TAPER_REFERENCE_VIEW_H
#define TAPER_REFERENCE_VIEW_H

#include "ops.h"

/* Pixels are counted within the segment. */
int pixel_count(const struct tensor *tensor, const struct segment *segment);
real *element(const struct tensor *tensor, const struct segment *segment, int pixel, int channel);

/* scale z + shift, or z. */
double normalised(const struct view *view, const struct segment *segment, int pixel, int channel);
/* activation(norm(z)), and with the gate. */
double activated(const struct view *view, const struct segment *segment, int pixel, int channel);
double seen(const struct view *view, const struct segment *segment, int pixel, int channel);

/* Memory for doubles, zero; exits the program when there is none. */
double *zeros(size_t count);

/* da: d loss / d what was seen, [pixel][kept]. Leaves in view->gradient, and in the norm's partial
 * sums, what tensor.h promises. */
void leave_gradient(const struct view *view, const struct segment *segment, const double *da);
/* The same for d loss / d activated(), whether or not there is a gate. */
void leave_ungated_gradient(const struct view *view, const struct segment *segment,
                            const double *da);
/* The segment was skipped. */
void leave_nothing(const struct batch_norm *norm, const struct segment *segment);

#endif
