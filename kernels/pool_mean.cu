/* Mean over all pixels of an image, read through the view: an image and a chunk of its channels to
 * a block. */
#include "cuda_ops.h"
#include "image_mean.cuh"
#include "pixels.cuh"

struct averaging {
    const struct segment *segments;
    struct device_view view;
    struct tensor mean;
    struct image_rows rows;
};

template <class T>
static __device__ __forceinline__ T *image_data(const struct tensor &tensor,
                                                const struct segment &segment, int image) {
    size_t pixels = (size_t)tensor.height * tensor.width;
    return segment_data<T>(tensor, segment) + image * pixels * tensor_ld(&tensor, &segment);
}

/* The gate is the same for all pixels of an image: it multiplies the sum. */
template <class T, int THREADS>
static __global__ void __launch_bounds__(THREADS, MANY_THREADS / THREADS)
    mean_kernel(const struct averaging all) {
    __shared__ struct sums_room<1, THREADS> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment);
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (image >= segment.images || share.vectors == 0)
        return;
    int area = z.height * z.width, ld = tensor_ld(&z, &segment);
    const T *from = image_data<T>(z, segment, image) + share.channel;
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, share.channel);
    constexpr int TURNS = 2 * FLIGHT<T>; /* one tensor only */
    struct lane_sums<1> sums;
    sums.clear();
    int end = share.row < share.rows ? area : 0;
    for (int first = share.row; first < end; first += TURNS * share.rows) {
        struct packed<T> packed[TURNS] = {};
#pragma unroll
        for (int i = 0; i < TURNS; i++)
            if (first + i * share.rows < end)
                load_packed(packed[i], from + (size_t)(first + i * share.rows) * ld);
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            if (first + i * share.rows >= end)
                break;
            float values[LANES];
            unpack(values, packed[i]);
            activate8(all.view.activation, norm, values);
            FOR_LANES(sums.of[0][lane] += values[lane])
        }
    }
    const T *gate = all.view.gate.data ? image_data<T>(all.view.gate, segment, image) : NULL;
    T *into = image_data<T>(all.mean, segment, image);
    float *row = all.rows.at ? image_row(all.rows, segment, image) : NULL;
    add_rows(room, share, sums, [=](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float mean = sum / (float)area * (gate ? to_float(gate[channel]) : 1.0f);
        into[channel] = from_float<T>(mean);
        if (row != NULL)
            row[channel] = mean;
    });
}

template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct image_rows *rows, const struct slice *slice) {
    struct averaging all = {slice->device_segments, device_view_of(view), *mean, *rows};
    dim3 grid(channel_chunks(view->tensor->channels), largest_segment(slice), slice->count);
    if (takes_many(*view->tensor))
        LAUNCH((mean_kernel<T, MANY_THREADS>), grid, MANY_THREADS, 0, cuda_stream(), all);
    else
        LAUNCH((mean_kernel<T, FEW_THREADS>), grid, FEW_THREADS, 0, cuda_stream(), all);
    return cuda_launched("image_mean");
}

template <class T>
enum status cuda_pool_mean_forward(const struct pool_mean *pool, const struct slice *slice) {
    const struct image_rows none = {};
    return cuda_image_mean<T>(&pool->input, &pool->output, &none, slice);
}

struct spreading {
    const struct segment *segments;
    struct device_view view;
    struct image_area area;
    struct tensor output_gradient;
    struct view_gradient gradient;
};

/* Every pixel of an image gets the same share. */
template <class T>
static __global__ void __launch_bounds__(PIXEL_THREADS, 3)
    spread_kernel(const struct spreading all) {
    __shared__ struct sums_room<2> room;
    __shared__ struct norm_room norm_room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    const struct view_gradient &gradient = all.gradient;
    int kept = tensor_kept(&z, &segment);
    struct stretch stretch = stretch_of(segment.images * all.area.pixels, kept);
    leave_count(gradient.sums, segment, kept > 0 ? stretch.end - stretch.begin : 0);
    struct pixel_share share = pixel_share_of(kept);
    if (stretch.begin == stretch.end || share.vectors == 0)
        return;
    int channel = share.channel, ld_z = tensor_ld(&z, &segment);
    int ld = tensor_ld(&gradient.tensor, &segment);
    unsigned lanes = writable_lanes(gradient.tensor, segment, kept, channel);
    const T *z_at = segment_data<T>(z, segment) + channel;
    T *into = segment_data<T>(gradient.tensor, segment) + channel;
    fill_norm_room(norm_room, share, all.view.norm, segment, kept);
    constexpr int TURNS = 2 * FLIGHT<T>; /* one tensor only */
    struct lane_sums<2> sums;
    sums.clear();
    int last = share.row < share.rows ? stretch.end : stretch.begin;
    for (int first = stretch.begin + share.row; first < last; first += TURNS * share.rows) {
        struct packed<T> packed_z[TURNS] = {};
#pragma unroll
        for (int i = 0; i < TURNS; i++)
            if (gradient.through && first + i * share.rows < last)
                load_packed(packed_z[i], z_at + (size_t)(first + i * share.rows) * ld_z);
#pragma unroll 1
        for (int i = 0; i < TURNS && first + i * share.rows < last; i++) {
            int pixel = first + i * share.rows;
            float dy[LANES], values[LANES];
            load8(dy,
                  image_data<T>(all.output_gradient, segment, image_of(all.area, pixel)) + channel);
            FOR_LANES(dy[lane] *= all.area.share)
            unpack(values, packed_z[0]);
            if (gradient.through)
                through_view8(all.view.activation, all.view.norm, norm_room, share.vector, values,
                              dy, ALL_LANES);
            round8<T>(dy);
            if (gradient.sums.parts > 0)
                sum_gradient(sums, norm_room, share.vector, values, dy);
            if (gradient.accumulate) {
                load8(values, into + (size_t)pixel * ld);
                FOR_LANES(dy[lane] += values[lane])
            }
            store_lanes(into + (size_t)pixel * ld, dy, lanes);
#pragma unroll
            for (int next = 1; next < TURNS; next++)
                packed_z[next - 1] = packed_z[next];
        }
    }
    if (gradient.sums.parts > 0)
        leave_sums(room, share, sums, gradient.sums, segment, z);
}

template <class T>
enum status cuda_pool_mean_backward(const struct pool_mean *pool, const struct slice *slice) {
    const struct tensor *z = pool->input.tensor;
    struct spreading all = {slice->device_segments, device_view_of(&pool->input), image_area_of(*z),
                            *pool->output_gradient, view_gradient_of(&pool->input)};
    if (all.gradient.tensor.data == NULL)
        return STATUS_OK;
    int chunks = channel_chunks(z->channels), parts = all.gradient.sums.parts;
    if (parts == 0)
        parts = pixel_parts(slice, 1, z->height * z->width);
    LAUNCH(spread_kernel<T>, dim3(chunks, parts, slice->count), PIXEL_THREADS, 0, cuda_stream(),
           all);
    return cuda_launched("pool_mean_backward");
}

template enum status cuda_image_mean<float>(const struct view *, const struct tensor *,
                                            const struct image_rows *, const struct slice *);
template enum status cuda_image_mean<bf16>(const struct view *, const struct tensor *,
                                           const struct image_rows *, const struct slice *);
template enum status cuda_pool_mean_forward<float>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_forward<bf16>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_backward<float>(const struct pool_mean *, const struct slice *);
template enum status cuda_pool_mean_backward<bf16>(const struct pool_mean *, const struct slice *);
