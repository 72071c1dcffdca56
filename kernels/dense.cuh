/* What the dense convolution's kernels share: single elements of what they read. Only the stem is
 * fast: 3x3 taps of stride 2 on pictures of three channels. All else is direct, and right. */
#ifndef TAPER_DENSE_CUH
#define TAPER_DENSE_CUH

#include "cuda_ops.h"

constexpr int STEM_KERNEL = 3, STEM_INPUTS = 3, STEM_STRIDE = 2,
              STEM_ROWS = STEM_KERNEL * STEM_KERNEL * STEM_INPUTS /* of the weights' matrix */;

/* Pictures: all their channels are kept, and nobody wants their gradient. */
static inline bool is_stem(const struct convolution *convolution) {
    const struct view *input = &convolution->input;
    return input->gradient == NULL && convolution->output.align % LANES == 0 &&
           convolution->kernel == STEM_KERNEL && convolution->stride == STEM_STRIDE &&
           input->tensor->channels == STEM_INPUTS && input->tensor->align == 1 &&
           input->norm == NULL && input->gate == NULL && input->activation == ACTIVATION_NONE;
}

/* a = activation(norm(z)) * gate, one element; pixels are counted within the segment. */
template <class T>
static __device__ float seen_at(const struct device_view &view, const struct segment &segment,
                                int pixel, int channel) {
    size_t at = (size_t)pixel * tensor_ld(&view.z, &segment) + channel;
    float y = to_float(segment_data<T>(view.z, segment)[at]);
    if (view.norm.scale != NULL) {
        size_t row = view.norm.row(segment) + channel;
        y = fmaf(view.norm.scale[row], y, view.norm.shift[row]);
    }
    y = activate(view.activation, y);
    if (view.gate.data != NULL) {
        int image = pixel / (view.z.height * view.z.width);
        size_t gate = (size_t)image * tensor_ld(&view.gate, &segment) + channel;
        y *= to_float(segment_data<T>(view.gate, segment)[gate]);
    }
    return y;
}

/* d loss / d z, one element. */
template <class T>
static __device__ float dz_at(const struct tensor &output, const struct tensor &gradient,
                              const struct norm_view &norm, const struct segment &segment,
                              int pixel, int channel) {
    size_t at = (size_t)pixel * tensor_ld(&gradient, &segment) + channel;
    float dy = to_float(segment_data<T>(gradient, segment)[at]);
    if (norm.scale == NULL)
        return dy;
    size_t row = norm.row(segment) + channel;
    at = (size_t)pixel * tensor_ld(&output, &segment) + channel;
    float z = to_float(segment_data<T>(output, segment)[at]);
    return fmaf(norm.grad_y[row], dy, fmaf(norm.grad_z[row], z, norm.grad_one[row]));
}

#endif
