/* The CPU backend: its table of operations. */
#include "cpu.h"

static const struct ops cpu = {
    .name = "cpu",
    .convolution_prepared_size = convolution_prepared_size,
    .convolution_scratch = convolution_scratch,
    .dense_prepare = dense_prepare,
    .dense_forward = dense_forward,
    .dense_backward = dense_backward,
    .pointwise_prepare = pointwise_prepare,
    .pointwise_forward = pointwise_forward,
    .pointwise_backward = pointwise_backward,
    .depthwise_prepare = depthwise_prepare,
    .depthwise_forward = depthwise_forward,
    .depthwise_backward = depthwise_backward,
    .batch_norm_forward = batch_norm_forward,
    .batch_norm_backward = batch_norm_backward,
    .combine_forward = combine_forward,
    .combine_backward = combine_backward,
    .squeeze_excite_forward = squeeze_excite_forward,
    .squeeze_excite_backward = squeeze_excite_backward,
    .pool_mean_forward = pool_mean_forward,
    .pool_mean_backward = pool_mean_backward,
    .loss_forward_backward = loss_forward_backward,
    .normalise_pictures = normalise_pictures,
    .add = vector_add,
    .update = vector_update,
    .average = vector_average,
};

const struct ops *ops_cpu(void) {
    return &cpu;
}
