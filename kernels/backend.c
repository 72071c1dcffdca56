/* The CPU backend: its table of operations, and its memory, which is the host's own. */
#include "cpu.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status take(void *pointer, size_t bytes, const char *what) {
    return allocate(pointer, bytes, 1, what);
}

static enum status copy(void *to, const void *from, size_t bytes) {
    memcpy(to, from, bytes);
    return STATUS_OK;
}

static enum status clear(void *memory, size_t bytes) {
    memset(memory, 0, bytes);
    return STATUS_OK;
}

static enum status finish(void) {
    return STATUS_OK;
}

static const struct memory host_memory = {.take = take,
                                          .give_back = free,
                                          .take_shared = take,
                                          .give_back_shared = free,
                                          .copy = copy,
                                          .clear = clear,
                                          .finish = finish};

static const struct ops cpu = {
    .name = "cpu",
    .memory = &host_memory,
    .activation_size = sizeof(real),
    .align = CHANNEL_ALIGN,
    .blocks = 1,
    .scratch = 1 << 20,
    .convolution_prepared_size = convolution_prepared_size,
    .convolution_scratch = convolution_scratch,
    .prepare = convolutions_prepare,
    .dense_forward = dense_forward,
    .dense_backward = dense_backward,
    .pointwise_forward = pointwise_forward,
    .pointwise_backward = pointwise_backward,
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
