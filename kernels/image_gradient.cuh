/* What the backward passes of pool and squeeze-excite share: the gradient of every pixel from rows of
 * its image. */
#ifndef TAPER_IMAGE_GRADIENT_CUH
#define TAPER_IMAGE_GRADIENT_CUH

#include "image_sums.cuh"

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
