/* What pool and squeeze-excite share: the mean of every image as its view shows it. */
#ifndef TAPER_IMAGE_MEAN_CUH
#define TAPER_IMAGE_MEAN_CUH

#include "cuda.cuh"

/* A row of floats for every image slot from `first` on; at NULL: none. */
struct image_rows {
    float *at;
    int length, first;
};

static __device__ __forceinline__ float *image_row(const struct image_rows &rows,
                                                   const struct segment &segment, int image) {
    return rows.at + (size_t)(segment.first - rows.first + image) * rows.length;
}

/* mean: [image][1][1][kept]. The rows, if any, get the means before they are rounded to T. */
template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct image_rows *rows, const struct slice *slice);

#endif
