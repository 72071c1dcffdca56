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

/* What the pixels of an image have in common: da = factor (entry) + term. */
struct image_lanes {
    float factor[LANES], term[LANES];
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

/* A thread's vectors on their way. */
template <class T, int DEPTH> struct flight {
    struct packed<T> entry[DEPTH], z[DEPTH];
};

/* Pixels are taken from the end of the stretch: the pass before, which read the same, has read it
 * last. As soon as a vector has been taken, the next is on its way in its place. */
template <class T>
__global__ void __launch_bounds__(PIXEL_THREADS, 2) spread_kernel(const struct spreading all) {
    constexpr int DEPTH = 3 * FLIGHT<T> / 2;
    __shared__ struct sums_room<2> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    const struct view_gradient &gradient = all.gradient;
    int kept = tensor_kept(&z, &segment);
    struct stretch stretch = stretch_of(segment.images * all.area.pixels, kept, 2);
    leave_count(gradient.sums, segment, kept > 0 ? stretch.end - stretch.begin : 0);
    struct pixel_share share = pixel_share_of(kept);
    if (stretch.begin == stretch.end || share.vectors == 0)
        return;
    int channel = share.channel, rows = share.rows, ld_z = tensor_ld(&z, &segment);
    int ld = tensor_ld(&gradient.tensor, &segment);
    unsigned lanes = writable_lanes(gradient.tensor, segment, kept, channel);
    const T *z_at = segment_data<T>(z, segment) + channel;
    T *into = segment_data<T>(gradient.tensor, segment) + channel;

    int pixel = share.row < rows ? stretch.end - 1 - share.row : -1;
    struct flight<T, DEPTH> flight = {};
    auto load = [&](int i, int at) {
        if (at < stretch.begin)
            return;
        load_packed(flight.z[i], z_at + (size_t)at * ld_z);
        if (all.has_entry)
            load_packed(flight.entry[i], into + (size_t)at * ld);
    };
#pragma unroll
    for (int i = 0; i < DEPTH; i++)
        load(i, pixel - i * rows);
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, channel);
    float mean[LANES] = {};
    if (all.view.norm.scale != NULL)
        load8(mean, all.view.norm.mean + all.view.norm.row(segment) + channel);

    struct lane_sums<2> sums;
    sums.clear();
    struct image_lanes image;
    int image_begin = stretch.end; /* of the image that has been loaded */
    for (; pixel >= stretch.begin; pixel -= DEPTH * rows) {
#pragma unroll
        for (int i = 0; i < DEPTH; i++) {
            int at = pixel - i * rows;
            if (at < stretch.begin)
                break;
            if (at < image_begin) {
                int index = image_of(all.area, at);
                image_begin = index * all.area.pixels;
                load_image<T>(image, all, segment, index, channel);
            }
            float dy[LANES], value[LANES];
            unpack(dy, flight.entry[i]);
            unpack(value, flight.z[i]);
            load(i, at - DEPTH * rows);
            FOR_LANES(dy[lane] = fmaf(dy[lane], image.factor[lane], image.term[lane]))
            slope8(all.view.activation, norm, value, dy);
            struct packed<T> stored;
            pack_rounded(stored, dy);
            if (lanes == ALL_LANES)
                store_packed(into + (size_t)at * ld, stored);
            else
                store_lanes(into + (size_t)at * ld, dy, lanes);
            FOR_LANES(sums.of[0][lane] += dy[lane];
                      sums.of[1][lane] = fmaf(dy[lane], value[lane] - mean[lane], sums.of[1][lane]))
        }
    }
    if (gradient.sums.parts > 0)
        leave_sums(room, share, sums, gradient.sums, segment, z);
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
