/* The gradient of every pixel from rows of its image, on through the view. */
#include "image_gradient.cuh"
#include "pixels.cuh"

namespace {

struct spreading {
    const struct segment *segments;
    struct device_view view;
    struct view_gradient gradient;
    struct image_area area;
    struct tensor gate, row; /* data NULL: none */
    struct image_rows rows;
    bool has_entry;
};

template <class T>
__device__ __forceinline__ void load_image(struct image_lanes &lanes, const struct spreading &all,
                                           const struct segment &segment, int image, int channel) {
    FOR_LANES(lanes.factor[lane] = 1)
    if (all.gate.data != NULL)
        load8(lanes.factor, tensor_row<T>(all.gate, segment, image) + channel);
    if (all.rows.at != NULL)
        load8(lanes.term, image_row(all.rows, segment, image) + channel);
    else
        load8(lanes.term, tensor_row<T>(all.row, segment, image) + channel);
    FOR_LANES(lanes.term[lane] *= all.area.share)
}

constexpr int BLOCKS = 2; /* of a multiprocessor, at least */

/* Pixels are taken from the end of the stretch: the pass before, which read the same, has read it
 * last. As soon as a vector has been taken, the next is on its way in its place. */
template <class T>
__global__ void __launch_bounds__(PIXEL_THREADS, BLOCKS) spread_kernel(const struct spreading all) {
    enum tensor_ahead { ENTRY, Z, TENSORS };
    constexpr int DEPTH = vectors_ahead<T, TENSORS, PIXEL_THREADS>::DEPTH;
    __shared__ union pixel_room<T, TENSORS, 2, PIXEL_THREADS> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    const struct view_gradient &gradient = all.gradient;
    int kept = tensor_kept(&z, &segment);
    struct stretch stretch = stretch_of(segment.images * all.area.pixels, kept, BLOCKS);
    leave_count(gradient.sums, segment, kept > 0 ? stretch.end - stretch.begin : 0);
    struct pixel_share share = pixel_share_of(kept);
    if (stretch.begin == stretch.end || share.vectors == 0)
        return;
    int channel = share.channel, rows = share.rows, ld_z = tensor_ld(&z, &segment);
    int ld = tensor_ld(&gradient.tensor, &segment);
    unsigned lanes = writable_lanes(gradient.tensor, segment, kept, channel);
    const T *z_at = segment_data<T>(z, segment) + channel;
    T *into = segment_data<T>(gradient.tensor, segment) + channel;

    auto ask = [&](int place, int pixel) {
        if (pixel >= stretch.begin) {
            room.ahead.ask(place, Z, z_at + (size_t)pixel * ld_z);
            if (all.has_entry)
                room.ahead.ask(place, ENTRY, into + (size_t)pixel * ld);
        }
        copy_async_commit();
    };
    int pixel = share.row < rows ? stretch.end - 1 - share.row : -1;
#pragma unroll
    for (int i = 0; i < DEPTH; i++)
        ask(i, pixel - i * rows);
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, channel);
    float mean[LANES];
    load_mean(mean, all.view.norm, segment, channel);

    struct lane_sums<2> sums;
    sums.clear();
    struct image_lanes image;
    int place = 0, image_begin = stretch.end; /* of the image that has been loaded */
#pragma unroll 1
    for (; pixel >= stretch.begin; pixel -= rows) {
        if (pixel < image_begin) {
            int index = image_of(all.area, pixel);
            image_begin = index * all.area.pixels;
            load_image<T>(image, all, segment, index, channel);
        }
        float dy[LANES] = {}, value[LANES];
        room.ahead.wait();
        room.ahead.take(value, place, Z);
        if (all.has_entry)
            room.ahead.take(dy, place, ENTRY);
        ask(place, pixel - DEPTH * rows);
        place = place + 1 == DEPTH ? 0 : place + 1;
        spread_vector(into + (size_t)pixel * ld, image, all.view.activation, norm, mean, lanes,
                      value, dy, sums);
    }
    copy_async_wait<0>();
    __syncthreads();
    if (gradient.sums.parts > 0)
        leave_sums(room.sums, share, sums, gradient.sums, segment, z);
}

} /* namespace */

template <class T>
enum status cuda_image_gradient(const struct image_gradient *image, const struct slice *slice) {
    const struct tensor *z = image->view->tensor;
    struct spreading all = {};
    all.segments = slice->device_segments;
    all.view = device_view_of(image->view), all.gradient = view_gradient_of(image->view);
    if (!all.gradient.through)
        all.view.activation = ACTIVATION_NONE;
    all.area = image_area_of(*z);
    all.rows = image->rows;
    if (image->row != NULL)
        all.row = *image->row;
    if (image->gate != NULL)
        all.gate = *image->gate;
    all.has_entry = image->gate != NULL || all.gradient.accumulate;
    int chunks = channel_chunks(z->channels), parts = all.gradient.sums.parts;
    if (parts == 0)
        parts = pixel_parts(slice, 1, z->height * z->width);
    LAUNCH(spread_kernel<T>, dim3(chunks, parts, slice->count), PIXEL_THREADS, 0, cuda_stream(),
           all);
    return cuda_launched("image_gradient");
}

template enum status cuda_image_gradient<float>(const struct image_gradient *,
                                                const struct slice *);
template enum status cuda_image_gradient<bf16>(const struct image_gradient *, const struct slice *);
