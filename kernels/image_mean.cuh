/* What pool and squeeze-excite share: the mean of every image as its view shows it. */
#ifndef TAPER_IMAGE_MEAN_CUH
#define TAPER_IMAGE_MEAN_CUH

#include "cuda.cuh"

/* mean: [image][1][1][kept] */
template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct slice *slice);

#endif
