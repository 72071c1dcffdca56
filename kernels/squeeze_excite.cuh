/* The vectors of a squeeze-excite's images, and the products between them and its two matrices. */
#ifndef TAPER_SQUEEZE_EXCITE_CUH
#define TAPER_SQUEEZE_EXCITE_CUH

#include "cuda.cuh"

/* In scratch, backward: a row per image slot, zero past the channels that the image keeps. d_gate
 * and d_hidden are gradients before the hard sigmoid and before the ReLU. */
struct excite_rows {
    int first, count;                  /* slots that the slice covers */
    int channels, hidden;              /* lengths of rows: full ones, rounded up to LANES */
    float *pooled, *d_gate, *d_pooled; /* [slot][channels] */
    float *hidden_values, *d_hidden;   /* [slot][hidden] */
};

struct excite_rows excite_rows_of(const struct squeeze_excite *squeeze, const struct slice *slice);

static __device__ __forceinline__ float *excite_row(float *rows, int length,
                                                    const struct excite_rows &all,
                                                    const struct segment &segment, int image) {
    return rows + (size_t)(segment.first - all.first + image) * length;
}

/* Of a tensor with one pixel per image. */
template <class T>
static __device__ __forceinline__ T *image_row(const struct tensor &tensor,
                                               const struct segment &segment, int image) {
    return segment_data<T>(tensor, segment) + (size_t)image * tensor_ld(&tensor, &segment);
}

/* pooled -> hidden -> gate */
template <class T>
enum status cuda_excite_forward(const struct squeeze_excite *squeeze, const struct slice *slice);

/* rows.d_gate, rows.pooled -> rows.d_pooled, and the gradients of the four parameters. */
template <class T>
enum status cuda_excite_backward(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, const struct slice *slice);

#endif
