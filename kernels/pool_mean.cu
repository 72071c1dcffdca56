/* Mean over all pixels of an image, read through the view: an image and a chunk of its channels to
 * a block. */
#include "cuda_ops.h"
#include "image_gradient.cuh"

struct averaging {
    const struct segment *segments;
    struct device_view view;
    struct tensor mean;
    struct image_rows rows;
};

/* The gate is the same for all pixels of an image: it multiplies the sum. */
template <class T, int THREADS>
static __global__ void __launch_bounds__(THREADS, IMAGE_BLOCKS<THREADS>)
    mean_kernel(const struct averaging all) {
    __shared__ union pixel_room<T, 1, 1, THREADS> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment);
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (image >= segment.images || share.vectors == 0)
        return;
    struct image_pixels<T> pixels = image_pixels_of<T>(z, segment, image, share);
    struct lane_sums<1> sums;
    sum_image(sums, room.ahead, all.view, segment, share, pixels, pixels);
    const T *gate = all.view.gate.data ? tensor_row<T>(all.view.gate, segment, image) : NULL;
    T *into = tensor_row<T>(all.mean, segment, image);
    float *row = all.rows.at ? image_row(all.rows, segment, image) : NULL;
    float area = (float)(z.height * z.width);
    add_rows(room.sums, share, sums, [=](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float mean = sum / area * (gate ? to_float(gate[channel]) : 1.0f);
        into[channel] = from_float<T>(mean);
        if (row != NULL)
            row[channel] = mean;
    });
}

template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct image_rows *rows, const struct slice *slice) {
    struct averaging all = {slice->device_segments, device_view_of(view), *mean, *rows};
    LAUNCH_ON_IMAGES(mean_kernel, T, *view->tensor, slice, all);
    return cuda_launched("image_mean");
}

template <class T>
enum status cuda_pool_mean_forward(const struct pool_mean *pool, const struct slice *slice) {
    const struct image_rows none = {};
    return cuda_image_mean<T>(&pool->input, &pool->output, &none, slice);
}

/* Every pixel of an image gets the same share. */
template <class T>
enum status cuda_pool_mean_backward(const struct pool_mean *pool, const struct slice *slice) {
    struct image_gradient image = {};
    image.view = &pool->input, image.row = pool->output_gradient;
    if (pool->input.gradient == NULL)
        return STATUS_OK;
    return cuda_image_gradient<T>(&image, slice);
}

template enum status cuda_image_mean<float>(const struct view *, const struct tensor *,
                                            const struct image_rows *, const struct slice *);
template enum status cuda_image_mean<bf16>(const struct view *, const struct tensor *,
                                           const struct image_rows *, const struct slice *);
template enum status cuda_pool_mean_forward<float>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_forward<bf16>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_backward<float>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_backward<bf16>(const struct pool_mean *, const struct slice *);
