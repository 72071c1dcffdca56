/* What a step of the list calls in the table of operations. */
#include "supernet/pass_internal.h"

enum status step_forward(const struct ops *ops, const struct step *step,
                         const struct slice *slice) {
    switch (step->kind) {
    case STEP_DENSE:
        return ops->dense_forward(&step->convolution, slice);
    case STEP_POINTWISE:
        return ops->pointwise_forward(&step->convolution, slice);
    case STEP_DEPTHWISE:
        return ops->depthwise_forward(&step->convolution, slice);
    case STEP_SQUEEZE_EXCITE:
        return ops->squeeze_excite_forward(&step->squeeze_excite, slice);
    case STEP_COMBINE:
        return ops->combine_forward(&step->combine, slice);
    case STEP_POOL:
        return ops->pool_mean_forward(&step->pool, slice);
    }
    __builtin_unreachable();
}

enum status step_backward(const struct ops *ops, const struct step *step,
                          const struct slice *slice) {
    switch (step->kind) {
    case STEP_DENSE:
        return ops->dense_backward(&step->convolution, slice);
    case STEP_POINTWISE:
        return ops->pointwise_backward(&step->convolution, slice);
    case STEP_DEPTHWISE:
        return ops->depthwise_backward(&step->convolution, slice);
    case STEP_SQUEEZE_EXCITE:
        return ops->squeeze_excite_backward(&step->squeeze_excite, slice);
    case STEP_COMBINE:
        return ops->combine_backward(&step->combine, slice);
    case STEP_POOL:
        return ops->pool_mean_backward(&step->pool, slice);
    }
    __builtin_unreachable();
}

struct slice pass_whole(const struct pass *pass, const struct branch *branch, real *gradient) {
    int first = branch->number * pass->segment_count;
    return (struct slice){.segments = pass->segments + first,
                          .device_segments = pass->device_segments + first,
                          .count = pass->segment_count,
                          .gradient = gradient,
                          .scratch = pass->scratch[0]};
}
