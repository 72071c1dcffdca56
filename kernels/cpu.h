/* The CPU's operations, one file each; backend.c puts them into the table. Contracts: ops.h. */
#ifndef TAPER_CPU_H
#define TAPER_CPU_H

#include "ops.h"

size_t convolution_prepared_size(const struct convolution *);
size_t convolution_scratch(const struct convolution *);
enum status convolutions_prepare(const struct convolution *const *, int count);

enum status dense_prepare(const struct convolution *);
enum status dense_forward(const struct convolution *, const struct slice *);
enum status dense_backward(const struct convolution *, const struct slice *);
enum status pointwise_prepare(const struct convolution *);
enum status pointwise_forward(const struct convolution *, const struct slice *);
enum status pointwise_backward(const struct convolution *, const struct slice *);
enum status depthwise_prepare(const struct convolution *);
enum status depthwise_forward(const struct convolution *, const struct slice *);
enum status depthwise_backward(const struct convolution *, const struct slice *);

enum status batch_norm_forward(const struct batch_norm *, const struct tensor *z,
                               const struct slice *);
enum status batch_norm_backward(const struct batch_norm *, const struct tensor *z,
                                const struct slice *);
enum status combine_forward(const struct combine *, const struct slice *);
enum status combine_backward(const struct combine *, const struct slice *);
enum status squeeze_excite_forward(const struct squeeze_excite *, const struct slice *);
enum status squeeze_excite_backward(const struct squeeze_excite *, const struct slice *);
enum status pool_mean_forward(const struct pool_mean *, const struct slice *);
enum status pool_mean_backward(const struct pool_mean *, const struct slice *);
enum status loss_forward_backward(const struct loss *, const struct slice *);
enum status normalise_pictures(const struct normalise_pictures *, const struct slice *);

enum status vector_add(real *into, const real *const *from, int terms, size_t count);
enum status vector_update(const struct update *, size_t count, real *weight, const real *gradient,
                          real *velocity, real *square);
enum status vector_average(real *ema, const real *weight, real keep, size_t count);

#endif
