/* What the backward passes of pool and squeeze-excite share: the gradient of every pixel from rows
 * of its image. */
#ifndef TAPER_IMAGE_GRADIENT_CUH
#define TAPER_IMAGE_GRADIENT_CUH

#include "image_sums.cuh"

/* What the pixels of an image have in common: da = factor (entry) + term. */
struct image_lanes {
    float factor[LANES], term[LANES];
};

static __device__ __forceinline__ void load_mean(float (&mean)[LANES], const struct norm_view &norm,
                                                 const struct segment &segment, int channel) {
    FOR_LANES(mean[lane] = 0)
    if (norm.scale != NULL)
        load8(mean, norm.mean + norm.row(segment) + channel);
}

/* The entry of a pixel becomes its gradient behind the activation, is stored and summed up. */
template <class T>
static __device__ __forceinline__ void
spread_vector(T *into, const struct image_lanes &image, enum activation activation,
              const struct norm_lanes &norm, const float (&mean)[LANES], unsigned lanes,
              const float (&z)[LANES], float (&dy)[LANES], struct lane_sums<2> &sums) {
    FOR_LANES(dy[lane] = fmaf(dy[lane], image.factor[lane], image.term[lane]))
    slope8(activation, norm, z, dy);
    struct packed<T> stored;
    pack_rounded(stored, dy);
    if (lanes == ALL_LANES)
        store_packed(into, stored);
    else
        store_lanes(into, dy, lanes);
    FOR_LANES(sums.of[0][lane] += dy[lane];
              sums.of[1][lane] = fmaf(dy[lane], z[lane] - mean[lane], sums.of[1][lane]))
}

/* d loss / d a = gate (what the view's gradient holds on entry) + row / pixels */
struct image_gradient {
    const struct view *view;
    const struct tensor *gate; /* NULL: the entry counts as it is, if the view accumulates */
    struct image_rows rows;    /* or, where they are NULL, */
    const struct tensor *row;
};

/* That, on through the view, into the view's gradient. */
template <class T>
enum status cuda_image_gradient(const struct image_gradient *image, const struct slice *slice);

#endif
