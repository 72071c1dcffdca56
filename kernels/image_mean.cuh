/* What pool and squeeze-excite share: the mean of every image as its view shows it. */
#ifndef TAPER_IMAGE_MEAN_CUH
#define TAPER_IMAGE_MEAN_CUH

#include "cuda.cuh"

/* A row of floats for every image slot from `first` on; at NULL: none. */
struct image_rows {
    float *at;
    int length, first;
};

/* A block has an image to itself: a large one takes many threads. Registers: for 1024 on each
 * multiprocessor. */
constexpr int FEW_THREADS = 512, MANY_THREADS = 1024;
static inline bool takes_many(const struct tensor &tensor) {
    return tensor.height * tensor.width > 256;
}

static __device__ __forceinline__ float *image_row(const struct image_rows &rows,
                                                   const struct segment &segment, int image) {
    return rows.at + (size_t)(segment.first - rows.first + image) * rows.length;
}

/* mean: [image][1][1][kept]. The rows, if any, get the means before they are rounded to T. */
template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct image_rows *rows, const struct slice *slice);

#endif
