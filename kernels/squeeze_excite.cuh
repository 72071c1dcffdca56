/* The vectors of a squeeze-excite's images, and the products between them and its two matrices. */
#ifndef TAPER_SQUEEZE_EXCITE_CUH
#define TAPER_SQUEEZE_EXCITE_CUH

#include "image_sums.cuh"

/* In scratch: a row per image, not rounded to T. Backward they are zero past the channels that an
 * image keeps, so that images of all widths make one matrix; d_gate and d_hidden are gradients
 * before the hard sigmoid and before the ReLU. */
struct excite_rows {
    int count;                                  /* slots that the slice covers */
    int images;                                 /* of them in use */
    struct image_rows pooled, d_gate, d_pooled; /* of all channels, rounded up to LANES */
    struct image_rows hidden, d_hidden;
};

struct excite_rows excite_rows_of(const struct squeeze_excite *squeeze, const struct slice *slice);

/* rows.pooled -> hidden, gate */
template <class T>
enum status cuda_excite_forward(const struct squeeze_excite *squeeze,
                                const struct excite_rows *rows, const struct slice *slice);

/* rows.d_gate -> d_hidden, d_pooled (and the hidden values, for the gradients) */
template <class T>
enum status cuda_excite_backward(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, const struct slice *slice);

/* All of an image's backward but the gradients of the parameters, in one kernel; false: the sizes
 * are not made for it, and nothing was done. */
template <class T>
bool cuda_excite_whole_images(const struct squeeze_excite *squeeze, const struct excite_rows *rows,
                              const struct slice *slice);

/* Before and after that: rows of slots without images, and the gradients of the parameters. */
enum status cuda_excite_clear(const struct excite_rows *rows);
template <class T>
enum status cuda_excite_gradient(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, float *gradient);

#endif
