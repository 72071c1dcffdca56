/* The CUDA operations, one file each; backend.cu puts them into the tables. Contracts: ops.h; T is
 * the activation type. */
#ifndef TAPER_CUDA_OPS_H
#define TAPER_CUDA_OPS_H

#include "cuda.cuh"

/* For operations without a size function: squeeze-excite's vectors of a batch. */
enum { CUDA_SCRATCH = 64 << 20 };

/* How a layer's kernels read its weights: rows of `ld` elements, zero from `columns` on. Element
 * (row, column) is from[row / inner * outer_step + row % inner * inner_step + column *
 * column_step].
 */
struct weight_layout {
    const float *from;
    void *to;
    int rows, columns, ld;
    int inner, outer_step, inner_step, column_step;
    int narrow; /* bf16, else float */
};
enum { MOST_LAYOUTS_OF_A_LAYER = 2 };
template <class T> enum status cuda_prepare(const struct convolution *const *, int count);

/* `prepared` in floats and scratch in bytes; layouts: fills up to MOST_LAYOUTS_OF_A_LAYER, returns
 * how many. */
template <class T> size_t cuda_dense_prepared_size(const struct convolution *);
template <class T> size_t cuda_dense_scratch(const struct convolution *);
template <class T> int cuda_dense_layouts(const struct convolution *, struct weight_layout *);
template <class T> enum status cuda_dense_forward(const struct convolution *, const struct slice *);
template <class T>
enum status cuda_dense_backward(const struct convolution *, const struct slice *);
template <class T> size_t cuda_pointwise_prepared_size(const struct convolution *);
template <class T> size_t cuda_pointwise_scratch(const struct convolution *);
template <class T> int cuda_pointwise_layouts(const struct convolution *, struct weight_layout *);
template <class T>
enum status cuda_pointwise_forward(const struct convolution *, const struct slice *);
template <class T>
enum status cuda_pointwise_backward(const struct convolution *, const struct slice *);
template <class T> size_t cuda_depthwise_prepared_size(const struct convolution *);
template <class T> size_t cuda_depthwise_scratch(const struct convolution *);
template <class T> int cuda_depthwise_layouts(const struct convolution *, struct weight_layout *);
template <class T>
enum status cuda_depthwise_forward(const struct convolution *, const struct slice *);
template <class T>
enum status cuda_depthwise_backward(const struct convolution *, const struct slice *);

enum status cuda_batch_norm_forward(const struct batch_norm *, const struct tensor *z,
                                    const struct slice *);
enum status cuda_batch_norm_backward(const struct batch_norm *, const struct tensor *z,
                                     const struct slice *);
template <class T> enum status cuda_combine_forward(const struct combine *, const struct slice *);
template <class T> enum status cuda_combine_backward(const struct combine *, const struct slice *);
template <class T>
enum status cuda_squeeze_excite_forward(const struct squeeze_excite *, const struct slice *);
template <class T>
enum status cuda_squeeze_excite_backward(const struct squeeze_excite *, const struct slice *);
template <class T>
enum status cuda_pool_mean_forward(const struct pool_mean *, const struct slice *);
template <class T>
enum status cuda_pool_mean_backward(const struct pool_mean *, const struct slice *);
template <class T> enum status cuda_loss(const struct loss *, const struct slice *);
template <class T>
enum status cuda_normalise_pictures(const struct normalise_pictures *, const struct slice *);

enum status cuda_add(real *into, const real *const *from, int terms, size_t count);
enum status cuda_update(const struct update *, size_t count, real *weight, const real *gradient,
                        real *velocity, real *square);
enum status cuda_average(real *ema, const real *weight, real keep, size_t count);

#endif
