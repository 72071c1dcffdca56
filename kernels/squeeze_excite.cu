/* Squeeze-excite: gate = hard_sigmoid(expand relu(reduce mean(a) + b) + b), on prefixes of the
 * weights. The large tensor is only streamed through; its images' vectors are small matrices, one
 * per segment, whose products squeeze_excite_products.cu makes. Backward reads (d, z) for
 * d loss / d gate, makes the vectors' gradients, and reads (d, z) once more to write. */
#include "cuda_ops.h"
#include "image_mean.cuh"
#include "pixels.cuh"
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
    struct view_gradient gradient; /* d loss / d (a gate) on entry */
    struct image_area area;
    struct tensor pooled, gate;
    struct excite_rows rows;
};

/* d loss / d gate = sum over the image's pixels of d (a gate) a; on through the hard sigmoid. */
template <class T, int THREADS>
static __global__ void __launch_bounds__(THREADS, MANY_THREADS / THREADS)
    gate_kernel(const struct exciting all) {
    __shared__ struct sums_room<1, THREADS> room;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z, &entry = all.gradient.tensor;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment);
    if (image >= segment.images)
        return;
    /* Rows reach over all channels, so that images of all widths make one matrix. */
    for (int c = kept + (int)threadIdx.x; blockIdx.x == 0 && c < all.rows.d_gate.length;
         c += THREADS)
        image_row(all.rows.d_gate, segment, image)[c] =
            image_row(all.rows.pooled, segment, image)[c] = 0;
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (share.vectors == 0)
        return;
    int area = z.height * z.width, first_pixel = image * area;
    int ld = tensor_ld(&z, &segment), ld_entry = tensor_ld(&entry, &segment);
    const T *z_at = segment_data<T>(z, segment) + (size_t)first_pixel * ld + share.channel;
    const T *entry_at =
        segment_data<T>(entry, segment) + (size_t)first_pixel * ld_entry + share.channel;
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, share.channel);
    struct lane_sums<1> sums;
    sums.clear();
    int end = share.row < share.rows ? area : 0;
    for (int first = share.row; first < end; first += FLIGHT<T> * share.rows) {
        struct packed<T> packed_a[FLIGHT<T>] = {}, packed_d[FLIGHT<T>] = {};
#pragma unroll
        for (int i = 0; i < FLIGHT<T>; i++) {
            int pixel = first + i * share.rows;
            if (pixel >= end)
                break;
            load_packed(packed_a[i], z_at + (size_t)pixel * ld);
            load_packed(packed_d[i], entry_at + (size_t)pixel * ld_entry);
        }
#pragma unroll
        for (int i = 0; i < FLIGHT<T>; i++) {
            if (first + i * share.rows >= end)
                break;
            float a[LANES], d[LANES];
            unpack(a, packed_a[i]);
            unpack(d, packed_d[i]);
            activate8(all.view.activation, norm, a);
            FOR_LANES(sums.of[0][lane] += d[lane] * a[lane])
        }
    }
    /* Made once more rather than kept in registers all the while. */
    segment = all.segments[blockIdx.z], kept = tensor_kept(&z, &segment);
    share = pixel_share_of(kept, THREADS);
    add_rows(room, share, sums, [&](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float value = to_float(tensor_row<T>(all.gate, segment, image)[channel]);
        image_row(all.rows.d_gate, segment, image)[channel] =
            value > 0 && value < 1 ? sum * (1.0f / 6.0f) : 0.0f;
        image_row(all.rows.pooled, segment, image)[channel] =
            to_float(tensor_row<T>(all.pooled, segment, image)[channel]);
    });
}

/* d loss / d a = d (a gate) gate + d pooled / pixels */
template <class T>
static __device__ __forceinline__ void ungate(const struct exciting &all,
                                              const struct segment &segment, int image, int channel,
                                              float (&d)[LANES]) {
    float row[LANES];
    load8(row, tensor_row<T>(all.gate, segment, image) + channel);
    FOR_LANES(d[lane] *= row[lane])
    load8(row, image_row(all.rows.d_pooled, segment, image) + channel);
    FOR_LANES(d[lane] += row[lane] * all.area.share)
}

/* That, and on through the activation. */
template <class T>
static __global__ void __launch_bounds__(PIXEL_THREADS, 3) input_kernel(const struct exciting all) {
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
    struct lane_sums<2> sums;
    sums.clear();
    /* One body for all pixels under way: unrolled it takes too many registers. */
    int last = share.row < share.rows ? stretch.end : stretch.begin;
    for (int first = stretch.begin + share.row; first < last; first += FLIGHT<T> * share.rows) {
        struct packed<T> packed_d[FLIGHT<T>] = {}, packed_z[FLIGHT<T>] = {};
#pragma unroll
        for (int i = 0; i < FLIGHT<T>; i++) {
            int pixel = first + i * share.rows;
            if (pixel >= last)
                break;
            load_packed(packed_d[i], into + (size_t)pixel * ld);
            load_packed(packed_z[i], z_at + (size_t)pixel * ld_z);
        }
#pragma unroll 1
        for (int i = 0; i < FLIGHT<T> && first + i * share.rows < last; i++) {
            int pixel = first + i * share.rows;
            float da[LANES], values[LANES];
            unpack(da, packed_d[0]);
            ungate<T>(all, segment, image_of(all.area, pixel), channel, da);
            unpack(values, packed_z[0]);
            through_view8(all.view.activation, all.view.norm, norm_room, share.vector, values, da,
                          ALL_LANES);
            struct packed<T> stored;
            pack_rounded(stored, da);
            if (lanes == ALL_LANES)
                store_packed(into + (size_t)pixel * ld, stored);
            else
                store_lanes(into + (size_t)pixel * ld, da, lanes);
            if (gradient.sums.parts > 0)
                sum_gradient(sums, norm_room, share.vector, values, da);
#pragma unroll
            for (int next = 1; next < FLIGHT<T>; next++)
                packed_d[next - 1] = packed_d[next], packed_z[next - 1] = packed_z[next];
        }
    }
    if (gradient.sums.parts > 0)
        leave_sums(room, share, sums, gradient.sums, segment, z);
}

template <class T>
enum status cuda_squeeze_excite_backward(const struct squeeze_excite *squeeze,
                                         const struct slice *slice) {
    const struct tensor *z = squeeze->input.tensor;
    struct exciting all = {slice->device_segments,
                           device_view_of(&squeeze->input),
                           view_gradient_of(&squeeze->input),
                           image_area_of(*z),
                           squeeze->pooled,
                           squeeze->gate,
                           excite_rows_of(squeeze, slice)};
    int chunks = channel_chunks(z->channels), parts = all.gradient.sums.parts;
    if (parts == 0)
        parts = pixel_parts(slice, 1, z->height * z->width);
    TRY(cuda_excite_clear(&all.rows));
    dim3 images(chunks, largest_segment(slice), slice->count);
    if (takes_many(*z))
        LAUNCH((gate_kernel<T, MANY_THREADS>), images, MANY_THREADS, 0, cuda_stream(), all);
    else
        LAUNCH((gate_kernel<T, FEW_THREADS>), images, FEW_THREADS, 0, cuda_stream(), all);
    TRY(cuda_launched("squeeze_excite_gate"));
    TRY(cuda_excite_backward<T>(squeeze, &all.rows, slice));
    TRY(cuda_excite_gradient(squeeze, &all.rows, slice->gradient));
    LAUNCH(input_kernel<T>, dim3(chunks, parts, slice->count), PIXEL_THREADS, 0, cuda_stream(),
           all);
    return cuda_launched("squeeze_excite_input");
}

#define INSTANTIATE(T)                                                                             \
    template enum status cuda_squeeze_excite_forward<T>(const struct squeeze_excite *,             \
                                                        const struct slice *);                     \
    template enum status cuda_squeeze_excite_backward<T>(const struct squeeze_excite *,            \
                                                         const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
