/* Squeeze-excite: gate = hard_sigmoid(expand relu(reduce mean(a) + b) + b), on prefixes of the
 * weights. The large tensor is only streamed through; its images' vectors are small matrices, one
 * per segment, whose products squeeze_excite_products.cu makes. Backward reads (d, z) for
 * d loss / d gate, makes the vectors' gradients, and reads (d, z) once more to write. */
#include "cuda_ops.h"
#include "image_gradient.cuh"
#include "squeeze_excite.cuh"

template <class T>
enum status cuda_squeeze_excite_forward(const struct squeeze_excite *squeeze,
                                        const struct slice *slice) {
    struct excite_rows rows = excite_rows_of(squeeze, slice);
    TRY(cuda_image_mean<T>(&squeeze->input, &squeeze->pooled, &rows.pooled, slice));
    return cuda_excite_forward<T>(squeeze, &rows, slice);
}

struct exciting {
    const struct segment *segments;
    struct device_view view;
    struct tensor entry; /* d loss / d (a gate) */
    struct tensor pooled, gate;
    struct excite_rows rows;
};

/* d loss / d gate = sum over the image's pixels of d (a gate) a; on through the hard sigmoid. */
template <class T, int THREADS>
static __global__ void __launch_bounds__(THREADS, IMAGE_BLOCKS<THREADS>)
    gate_kernel(const struct exciting all) {
    __shared__ union pixel_room<T, 2, 1, THREADS> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment);
    if (image >= segment.images)
        return;
    float *d_gate = image_row(all.rows.d_gate, segment, image);
    float *pooled_row = image_row(all.rows.pooled, segment, image);
    /* Rows reach over all channels, so that images of all widths make one matrix. */
    for (int c = kept + (int)threadIdx.x; blockIdx.x == 0 && c < all.rows.d_gate.length;
         c += THREADS)
        d_gate[c] = pooled_row[c] = 0;
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (share.vectors == 0)
        return;
    struct lane_sums<1> sums;
    sum_image(sums, room.ahead, all.view, segment, share,
              image_pixels_of<T>(z, segment, image, share),
              image_pixels_of<T>(all.entry, segment, image, share));
    const T *gate = tensor_row<T>(all.gate, segment, image);
    const T *pooled = tensor_row<T>(all.pooled, segment, image);
    add_rows(room.sums, share, sums, [=](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float value = to_float(gate[channel]);
        d_gate[channel] = value > 0 && value < 1 ? sum * (1.0f / 6.0f) : 0.0f;
        pooled_row[channel] = to_float(pooled[channel]);
    });
}

template <class T>
enum status cuda_squeeze_excite_backward(const struct squeeze_excite *squeeze,
                                         const struct slice *slice) {
    const struct view *input = &squeeze->input;
    struct exciting all = {slice->device_segments, device_view_of(input),
                           *input->gradient,       squeeze->pooled,
                           squeeze->gate,          excite_rows_of(squeeze, slice)};
    struct image_gradient image = {};
    image.view = input, image.gate = &squeeze->gate, image.rows = all.rows.d_pooled;
    TRY(cuda_excite_clear(&all.rows));
    if (cuda_excite_whole_images<T>(squeeze, &all.rows, slice)) {
        TRY(cuda_launched("squeeze_excite_images"));
        return cuda_excite_gradient<T>(squeeze, &all.rows, slice->gradient);
    }
    LAUNCH_ON_IMAGES(gate_kernel, T, *input->tensor, slice, all);
    TRY(cuda_launched("squeeze_excite_gate"));
    TRY(cuda_excite_backward<T>(squeeze, &all.rows, slice));
    TRY(cuda_excite_gradient<T>(squeeze, &all.rows, slice->gradient));
    return cuda_image_gradient<T>(&image, slice);
}

#define INSTANTIATE(T)                                                                             \
    template enum status cuda_squeeze_excite_forward<T>(const struct squeeze_excite *,             \
                                                        const struct slice *);                     \
    template enum status cuda_squeeze_excite_backward<T>(const struct squeeze_excite *,            \
                                                         const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
