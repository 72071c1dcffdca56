/* The fused operation that taper is named for: normalise + activate + ordered-dropout cut + channel
 * bypass + residual, one read and one write; backward: the sums and the gradients of both inputs
 * (NetAdaptV2, channel-level bypass connections). */
#include "cuda_ops.h"
#include "pixels.cuh"

struct combining {
    const struct segment *segments;
    struct device_view main;
    struct tensor shortcut; /* data NULL: none */
    int bypass, residual;
    struct tensor output;
    struct tensor output_gradient;
    struct view_gradient main_gradient, shortcut_gradient;
    int in_place; /* main's gradient is the output's */
};

/* Which channels come from where: [0, filters) from z, where [0, added) have x added, and
 * [filters, bypassed) from x alone. */
struct cut {
    int filters, added, bypassed;
    int inputs; /* channels of x */
};

static __device__ __forceinline__ unsigned lanes_of_shortcut(const struct cut &cut, int channel) {
    return lanes_below(cut.added, channel) |
           (lanes_below(cut.bypassed, channel) & ~lanes_below(cut.filters, channel));
}

static __device__ __forceinline__ struct cut cut_of(const struct combining &combine,
                                                    const struct segment &segment) {
    struct cut cut = {tensor_kept(&combine.main.z, &segment), 0, 0, 0};
    if (combine.shortcut.data == NULL)
        return cut;
    cut.inputs = tensor_kept(&combine.shortcut, &segment);
    cut.bypassed = min(cut.inputs, combine.bypass);
    cut.added = combine.residual ? min(cut.inputs, cut.filters) : 0;
    return cut;
}

/* The pixels of x behind one pixel of the output: up to 2 x 2. */
struct window {
    int first, rows, columns;
};

static __device__ __forceinline__ struct window window_of(const struct tensor &output,
                                                          const struct tensor &x, int pixel) {
    int line = pixel / output.width, image = line / output.height;
    int top = (line - image * output.height) * 2, left = (pixel - line * output.width) * 2;
    return {(image * x.height + top) * x.width + left, min(2, x.height - top),
            min(2, x.width - left)};
}

/* The mean of x behind a pixel of the output; `at` points to the thread's channels of x. */
template <class T>
static __device__ __forceinline__ void
load_pooled(float (&into)[LANES], const struct combining &combine, const T *at, int ld, int pixel) {
    struct window window = window_of(combine.output, combine.shortcut, pixel);
    FOR_LANES(into[lane] = 0)
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (i / 2 >= window.rows || i % 2 >= window.columns)
            continue;
        float x[LANES];
        load8(x, at + (size_t)(window.first + i / 2 * combine.shortcut.width + i % 2) * ld);
        FOR_LANES(into[lane] += x[lane])
    }
    float share = 1.0f / (float)(window.rows * window.columns);
    FOR_LANES(into[lane] *= share)
}

/* What is added: nothing (wherever there is no shortcut), x or the mean of its pixels. */
enum shortcut { SHORTCUT_NONE, SHORTCUT_SAME, SHORTCUT_POOL };

template <class T, enum shortcut SHORTCUT>
static __global__ void __launch_bounds__(PIXEL_THREADS, SHORTCUT == SHORTCUT_POOL ? 3 : 4)
    forward_kernel(const struct combining combine) {
    struct segment segment = combine.segments[blockIdx.z];
    struct pixel_share share = pixel_share_of(tensor_kept(&combine.output, &segment));
    if (share.row >= share.rows)
        return;
    int channel = share.channel,
        pixels = segment.images * combine.output.height * combine.output.width;
    int begin = piece_begin(pixels, (int)blockIdx.y, (int)gridDim.y);
    int end = piece_begin(pixels, (int)blockIdx.y + 1, (int)gridDim.y);
    struct cut cut = cut_of(combine, segment);
    unsigned from_z = lanes_below(cut.filters, channel);
    unsigned from_x = SHORTCUT == SHORTCUT_NONE ? 0 : lanes_of_shortcut(cut, channel);
    struct norm_lanes norm = {};
    if (from_z)
        norm = norm_lanes_of(combine.main.norm, segment, channel);
    int ld = tensor_ld(&combine.output, &segment), ld_z = tensor_ld(&combine.main.z, &segment);
    int ld_x = from_x ? tensor_ld(&combine.shortcut, &segment) : 0;
    T *y_at = segment_data<T>(combine.output, segment) + channel;
    const T *z_at = segment_data<T>(combine.main.z, segment) + channel;
    const T *x_at = from_x ? segment_data<T>(combine.shortcut, segment) + channel : NULL;

    /* One tensor only: twice as many of its pixels. */
    constexpr int TURNS = SHORTCUT == SHORTCUT_NONE ? 2 * FLIGHT<T> : FLIGHT<T>;
    for (int first = begin + share.row; first < end; first += TURNS * share.rows) {
        struct packed<T> packed_z[TURNS] = {}, packed_x[TURNS] = {};
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int pixel = first + i * share.rows;
            if (from_z && pixel < end)
                load_packed(packed_z[i], z_at + (size_t)pixel * ld_z);
            if (SHORTCUT == SHORTCUT_SAME && from_x && pixel < end)
                load_packed(packed_x[i], x_at + (size_t)pixel * ld_x);
        }
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int pixel = first + i * share.rows;
            if (pixel >= end)
                break;
            float y[LANES];
            unpack(y, packed_z[i]);
            activate8(combine.main.activation, norm, y);
            if (from_z != ALL_LANES)
                FOR_LANES(y[lane] = has_lane(from_z, lane) ? y[lane] : 0.0f)
            if (SHORTCUT != SHORTCUT_NONE && from_x) {
                float x[LANES];
                unpack(x, packed_x[i]);
                if (SHORTCUT == SHORTCUT_POOL)
                    load_pooled(x, combine, x_at, ld_x, pixel);
                FOR_LANES(y[lane] += has_lane(from_x, lane) ? x[lane] : 0.0f)
            }
            store8(y_at + (size_t)pixel * ld, y);
        }
    }
}

/* dx = (or +=) dy where x was used, else 0, at all pixels of x behind one pixel of the output. */
template <class T, bool POOL>
static __device__ __forceinline__ void store_shortcut(const struct combining &combine, T *at,
                                                      int ld, int pixel, unsigned used,
                                                      unsigned lanes, const float (&dy)[LANES]) {
    struct window window = {pixel, 1, 1};
    if (POOL)
        window = window_of(combine.output, combine.shortcut, pixel);
    float share = POOL ? 1.0f / (float)(window.rows * window.columns) : 1.0f;
#pragma unroll
    for (int i = 0; i < (POOL ? 4 : 1); i++) {
        if (i / 2 >= window.rows || i % 2 >= window.columns)
            continue;
        T *into = at + (size_t)(window.first + i / 2 * combine.shortcut.width + i % 2) * ld;
        float dx[LANES] = {};
        if (combine.shortcut_gradient.accumulate)
            load8(dx, into);
        FOR_LANES(dx[lane] += has_lane(used, lane) ? share * dy[lane] : 0.0f)
        store_lanes(into, dx, lanes);
    }
}

/* What backward does with the lanes of a thread's vector. */
struct backward_lanes {
    unsigned main;                       /* of z: through the activation and into the sums */
    unsigned used;                       /* x was used */
    unsigned write_main, write_shortcut; /* of the gradients */
};

/* In place, lanes past the filters are written as they were read. */
template <bool THROUGH>
static __device__ __forceinline__ struct backward_lanes
backward_lanes_of(const struct combining &combine, const struct segment &segment,
                  const struct cut &cut, int channel) {
    const struct tensor &main = combine.main_gradient.tensor;
    struct backward_lanes lanes = {};
    bool writes = main.data != NULL && (THROUGH || !combine.in_place);
    if (writes || combine.main_gradient.sums.parts > 0)
        lanes.main = lanes_below(cut.filters, channel);
    if (writes && lanes.main != 0)
        lanes.write_main =
            combine.in_place ? ALL_LANES : writable_lanes(main, segment, cut.filters, channel);
    if (combine.shortcut_gradient.tensor.data == NULL)
        return lanes;
    lanes.used = lanes_of_shortcut(cut, channel);
    if (lanes_below(cut.inputs, channel) != 0)
        lanes.write_shortcut =
            writable_lanes(combine.shortcut_gradient.tensor, segment, cut.inputs, channel);
    return lanes;
}

/* Pixels of one tensor at the thread's channels. */
template <class T> struct pixel_rows {
    T *at;
    int ld;
};
template <class T>
static __device__ __forceinline__ struct pixel_rows<T>
pixel_rows_of(const struct tensor &tensor, const struct segment &segment, int channel) {
    if (tensor.data == NULL)
        return {NULL, 0};
    return {segment_data<T>(tensor, segment) + channel, tensor_ld(&tensor, &segment)};
} template <class T>
static __device__ __forceinline__ T *pixel_at(const struct pixel_rows<T> &rows, int pixel) {
    return rows.at + (size_t)pixel * rows.ld;
}

/* One pixel. First the shortcut's gradient: main may overwrite dy. Lanes past the filters sum up to
 * what nobody reads. */
template <class T, bool POOL, bool THROUGH>
static __device__ __forceinline__ void
backward_pixel(const struct combining &combine, const struct norm_room &room, int vector,
               const struct backward_lanes &lanes, const struct pixel_rows<T> &main,
               const struct pixel_rows<T> &shortcut, int pixel, const struct packed<T> &packed_dy,
               const struct packed<T> &packed_z, struct lane_sums<2> &sums) {
    float dy[LANES], z[LANES];
    unpack(dy, packed_dy);
    if (lanes.write_shortcut)
        store_shortcut<T, POOL>(combine, shortcut.at, shortcut.ld, pixel, lanes.used,
                                lanes.write_shortcut, dy);
    if (lanes.main == 0)
        return;
    unpack(z, packed_z);
    if (THROUGH) {
        through_view8(combine.main.activation, combine.main.norm, room, vector, z, dy, lanes.main);
        round8<T>(dy);
    }
    if (lanes.write_main)
        store_lanes(pixel_at(main, pixel), dy, lanes.write_main);
    if (combine.main_gradient.sums.parts > 0)
        sum_gradient(sums, room, vector, z, dy);
}

static __device__ __forceinline__ int channels_of_backward(const struct combining &combine,
                                                           const struct cut &cut) {
    return combine.shortcut_gradient.tensor.data ? max(cut.filters, cut.inputs) : cut.filters;
}

/* THROUGH: main has an activation. */
template <bool POOL, bool THROUGH> constexpr int BLOCKS_AT_ONCE = POOL || THROUGH ? 2 : 3;

template <class T, bool POOL, bool THROUGH>
static __global__ void __launch_bounds__(PIXEL_THREADS, BLOCKS_AT_ONCE<POOL, THROUGH>)
    backward_kernel(const struct combining combine) {
    __shared__ struct sums_room<2> room;
    __shared__ struct norm_room norm_room;
    struct segment segment = combine.segments[blockIdx.z];
    struct cut cut = cut_of(combine, segment);
    const struct partial_sums &into = combine.main_gradient.sums;
    int pixels = segment.images * combine.output.height * combine.output.width;
    struct stretch part =
        stretch_of(pixels, channels_of_backward(combine, cut), BLOCKS_AT_ONCE<POOL, THROUGH>);
    leave_count(into, segment, cut.filters > 0 ? part.end - part.begin : 0);
    struct pixel_share share = pixel_share_of(channels_of_backward(combine, cut));
    if (part.begin == part.end || share.vectors == 0)
        return;

    struct backward_lanes lanes = backward_lanes_of<THROUGH>(combine, segment, cut, share.channel);
    struct pixel_rows<T> dy = pixel_rows_of<T>(combine.output_gradient, segment, share.channel);
    struct pixel_rows<T> z = pixel_rows_of<T>(combine.main.z, segment, share.channel);
    struct pixel_rows<T> main =
        pixel_rows_of<T>(combine.main_gradient.tensor, segment, share.channel);
    struct pixel_rows<T> shortcut =
        pixel_rows_of<T>(combine.shortcut_gradient.tensor, segment, share.channel);
    fill_norm_room(norm_room, share, combine.main.norm, segment, cut.filters);
    struct lane_sums<2> sums;
    sums.clear();
    /* As many as registers allow; and one body for all, not unrolled. */
    constexpr int TURNS = POOL ? 1 : THROUGH ? 2 * FLIGHT<T> : FLIGHT<T>;
    int last = share.row < share.rows ? part.end : part.begin;
    for (int first = part.begin + share.row; first < last; first += TURNS * share.rows) {
        struct packed<T> packed_dy[TURNS] = {}, packed_z[TURNS] = {};
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int pixel = first + i * share.rows;
            if ((lanes.main | lanes.used) && pixel < last)
                load_packed(packed_dy[i], pixel_at(dy, pixel));
            if (lanes.main && (THROUGH || into.parts > 0) && pixel < last)
                load_packed(packed_z[i], pixel_at(z, pixel));
        }
#pragma unroll 1
        for (int i = 0; i < TURNS && first + i * share.rows < last; i++) {
            backward_pixel<T, POOL, THROUGH>(combine, norm_room, share.vector, lanes, main,
                                             shortcut, first + i * share.rows, packed_dy[0],
                                             packed_z[0], sums);
#pragma unroll
            for (int next = 1; next < TURNS; next++)
                packed_dy[next - 1] = packed_dy[next], packed_z[next - 1] = packed_z[next];
        }
    }
    if (into.parts > 0) {
        struct segment again = combine.segments[blockIdx.z];
        share = pixel_share_of(channels_of_backward(combine, cut_of(combine, again)));
        leave_sums(room, share, sums, into, again, combine.main.z);
    }
}

static struct combining combining_of(const struct combine *combine, const struct slice *slice) {
    struct combining all = {};
    all.segments = slice->device_segments;
    all.main = device_view_of(&combine->main);
    if (combine->shortcut.tensor != NULL) {
        all.shortcut = *combine->shortcut.tensor;
        all.bypass = combine->bypass, all.residual = combine->residual;
    }
    all.output = combine->output;
    return all;
}

template <class T>
enum status cuda_combine_forward(const struct combine *combine, const struct slice *slice) {
    struct combining all = combining_of(combine, slice);
    const struct tensor *output = &combine->output;
    int chunks = channel_chunks(output->channels);
    int parts = pixel_parts(slice, chunks, output->height * output->width);
    dim3 grid(chunks, parts, slice->count);
    if (all.shortcut.data == NULL)
        LAUNCH((forward_kernel<T, SHORTCUT_NONE>), grid, PIXEL_THREADS, 0, cuda_stream(), all);
    else if (combine->pool)
        LAUNCH((forward_kernel<T, SHORTCUT_POOL>), grid, PIXEL_THREADS, 0, cuda_stream(), all);
    else
        LAUNCH((forward_kernel<T, SHORTCUT_SAME>), grid, PIXEL_THREADS, 0, cuda_stream(), all);
    return cuda_launched("combine_forward");
}

template <class T, bool POOL> static void launch_backward(const struct combining &all, dim3 grid) {
    if (all.main.activation != ACTIVATION_NONE)
        LAUNCH((backward_kernel<T, POOL, true>), grid, PIXEL_THREADS, 0, cuda_stream(), all);
    else
        LAUNCH((backward_kernel<T, POOL, false>), grid, PIXEL_THREADS, 0, cuda_stream(), all);
}

template <class T>
enum status cuda_combine_backward(const struct combine *combine, const struct slice *slice) {
    struct combining all = combining_of(combine, slice);
    const struct tensor *dy = combine->output_gradient;
    all.output_gradient = *dy;
    all.main_gradient = view_gradient_of(&combine->main);
    if (combine->shortcut.tensor != NULL)
        all.shortcut_gradient = view_gradient_of(&combine->shortcut);
    all.in_place = all.main_gradient.tensor.data == dy->data;
    int channels = combine->main.tensor->channels;
    if (all.shortcut_gradient.tensor.data != NULL && all.shortcut.channels > channels)
        channels = all.shortcut.channels;
    int chunks = channel_chunks(channels), parts = all.main_gradient.sums.parts;
    if (parts == 0)
        parts = pixel_parts(slice, 1, dy->height * dy->width);
    dim3 grid(chunks, parts, slice->count);
    if (all.shortcut.data != NULL && combine->pool)
        launch_backward<T, true>(all, grid);
    else
        launch_backward<T, false>(all, grid);
    return cuda_launched("combine_backward");
}

template enum status cuda_combine_forward<float>(const struct combine *, const struct slice *);
template enum status cuda_combine_forward<bf16>(const struct combine *, const struct slice *);
template enum status cuda_combine_backward<float>(const struct combine *, const struct slice *);
template enum status cuda_combine_backward<bf16>(const struct combine *, const struct slice *);
