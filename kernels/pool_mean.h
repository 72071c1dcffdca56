/* What pool and squeeze-excite share. */
#ifndef TAPER_POOL_MEAN_H
#define TAPER_POOL_MEAN_H

#include "view.h"

/* mean[kept] over the pixels of one image, as the view shows them. */
void view_image_mean(const struct view *view, const struct segment *segment, int image, real *mean,
                     struct scratch scratch);

#endif
