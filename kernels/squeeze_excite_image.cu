/* Squeeze-excite where an image fits into a multiprocessor and the matrices are small: a block
 * takes an image through all of it. Backward, z stays in shared memory, and d loss / d (a gate) in
 * the cache, until it is read once more. */
#include "cuda_ops.h"
#include "image_gradient.cuh"
#include "squeeze_excite.cuh"

namespace {

constexpr int THREADS = 512, DEPTH = 3, MOST_CHANNELS = CHUNK * LANES, MOST_WEIGHTS = 8 << 10,
              LEAST_PIXELS = 65;

struct whole_images {
    const struct segment *segments;
    struct device_view view;
    struct view_gradient gradient;
    struct tensor pooled, hidden, gate;
    struct excite_rows rows;
    const float *reduce, *reduce_bias, *expand, *expand_bias;
};

struct small_vectors {
    float gate[MOST_CHANNELS], pooled[MOST_CHANNELS], hidden[THREADS]; /* or their gradients */
    float shares[THREADS];
};

/* use(n, sum over k of from[k] weight[n step_n + k step_k]): threads share sums out. */
template <class Use>
__device__ __forceinline__ void multiply(struct small_vectors &room, const float *from,
                                         const float *weight, int step_n, int step_k, int kept_n,
                                         int kept_k, Use use) {
    int thread = (int)threadIdx.x, groups = kept_n > 0 ? THREADS / kept_n : 0;
    float sum = 0;
    if (thread < groups * kept_n) {
        unsigned group = (unsigned)thread / (unsigned)kept_n, n = thread - group * kept_n;
#pragma unroll 8
        for (unsigned k = group; k < (unsigned)kept_k; k += groups)
            sum += from[k] * weight[(size_t)n * step_n + (size_t)k * step_k];
    }
    room.shares[thread] = sum;
    __syncthreads();
    if (thread < kept_n) {
        for (int group = 1; group < groups; group++)
            sum += room.shares[group * kept_n + thread];
        use(thread, sum);
    }
    __syncthreads();
}

/* The places of vectors under way are over when sums come together. */
template <class T> union image_room {
    struct vectors_ahead<T, 1, THREADS> ahead;
    struct {
        struct sums_room<1, THREADS> sums;
        struct small_vectors small;
    } after;
};

template <class T>
__global__ void __launch_bounds__(THREADS, 1)
    whole_image_forward_kernel(const struct whole_images all) {
    __shared__ union image_room<T> room;
    struct small_vectors &small = room.after.small;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment);
    int kept_hidden = tensor_kept(&all.hidden, &segment);
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (image >= segment.images || share.vectors == 0)
        return;
    struct image_pixels<T> pixels = image_pixels_of<T>(z, segment, image, share);
    struct lane_sums<1> sums;
    sum_image(sums, room.ahead, all.view, segment, share, pixels, pixels);
    T *pooled = tensor_row<T>(all.pooled, segment, image);
    T *hidden = tensor_row<T>(all.hidden, segment, image);
    T *gate = tensor_row<T>(all.gate, segment, image);
    float area = (float)(z.height * z.width);
    add_rows(room.after.sums, share, sums, [&](int, int channel, float sum) {
        if (channel < kept)
            pooled[channel] = from_float<T>(small.pooled[channel] = sum / area);
    });
    __syncthreads();
    multiply(small, small.pooled, all.reduce, all.pooled.channels, 1, kept_hidden, kept,
             [&](int h, float sum) {
                 small.hidden[h] = activate(ACTIVATION_RELU, all.reduce_bias[h] + sum);
                 hidden[h] = from_float<T>(small.hidden[h]);
             });
    multiply(small, small.hidden, all.expand, all.hidden.channels, 1, kept, kept_hidden,
             [&](int c, float sum) {
                 float value = activate(ACTIVATION_HARD_SIGMOID, all.expand_bias[c] + sum);
                 gate[c] = from_float<T>(value);
             });
}

/* From d loss / d gate to d loss / d pooled, and the rows that the parameters' gradients take. */
template <class T>
__device__ __forceinline__ void
excite_image(struct small_vectors &room, const struct whole_images &all,
             const struct segment &segment, int image, int kept, int kept_hidden) {
    int channels = all.pooled.channels, hidden = all.hidden.channels;
    const T *values = tensor_row<T>(all.hidden, segment, image);
    float *value_row = image_row(all.rows.hidden, segment, image);
    float *d_row = image_row(all.rows.d_hidden, segment, image);
    multiply(room, room.gate, all.expand, 1, hidden, kept_hidden, kept, [&](int h, float sum) {
        value_row[h] = to_float(values[h]);
        d_row[h] = room.hidden[h] = value_row[h] > 0 ? sum : 0;
    });
    multiply(room, room.hidden, all.reduce, 1, channels, kept, kept_hidden,
             [&](int c, float sum) { room.pooled[c] = sum; });
}

/* A thread's pixels of the image, and its places in dynamic shared memory: a few for vectors of the
 * entry that are under way, then all those of z. Sums come together there when the entry's, and at
 * the end z's, are over. */
template <class T> struct own_pixels {
    struct packed<T> *places;
    struct image_pixels<T> z, entry;
    int count, row, rows;

    __device__ __forceinline__ struct packed<T> &entry_at(int i) const {
        return places[i % DEPTH * THREADS];
    } __device__ __forceinline__ struct packed<T> &z_at(int i) const {
        return places[(DEPTH + i) * THREADS];
    } __device__ __forceinline__ void ask(int i, bool with_z) const {
        if (i >= 0 && i < count) {
            int pixel = row + i * rows;
            ask_vector(entry_at(i), entry.at + pixel * entry.ld);
            if (with_z)
                ask_vector(z_at(i), z.at + pixel * z.ld);
        }
        copy_async_commit();
    }
    __device__ __forceinline__ void take(float (&of_entry)[LANES], float (&of_z)[LANES],
                                         int i) const {
        copy_async_wait<DEPTH - 1>();
        unpack(of_entry, entry_at(i));
        unpack(of_z, z_at(i));
    }
};

/* The last of a thread's copies, and those of all others. */
__device__ __forceinline__ void end_copies() {
    copy_async_wait<0>();
    __syncthreads();
}

template <class T>
__device__ __forceinline__ void sum_gate(struct lane_sums<1> &sums, const struct own_pixels<T> &own,
                                         enum activation activation,
                                         const struct norm_lanes &norm) {
    sums.clear();
#pragma unroll 1
    for (int i = 0; i < own.count; i++) {
        float a[LANES], d[LANES];
        own.take(d, a, i);
        own.ask(i + DEPTH, true);
        activate8(activation, norm, a);
        FOR_LANES(sums.of[0][lane] = fmaf(d[lane], a[lane], sums.of[0][lane]))
    }
    end_copies();
}

/* Backwards: what has been read last is read first. */
template <class T>
__device__ __forceinline__ void
spread_image(struct lane_sums<2> &sums, const struct own_pixels<T> &own,
             const struct whole_images &all, const struct segment &segment,
             const struct norm_lanes &norm, const struct image_lanes &image, int kept,
             int channel) {
    float mean[LANES];
    load_mean(mean, all.view.norm, segment, channel);
    unsigned lanes = writable_lanes(all.gradient.tensor, segment, kept, channel);
    enum activation activation = all.gradient.through ? all.view.activation : ACTIVATION_NONE;
    T *into = const_cast<T *>(own.entry.at);
    sums.clear();
#pragma unroll 1
    for (int i = own.count - 1; i >= 0; i--) {
        float d[LANES], value[LANES];
        own.take(d, value, i);
        own.ask(i - DEPTH, false);
        spread_vector(into + (own.row + i * own.rows) * own.entry.ld, image, activation, norm, mean,
                      lanes, value, d, sums);
    }
    end_copies();
}

template <class T>
__device__ __forceinline__ struct own_pixels<T>
own_pixels_of(unsigned char *memory, const struct whole_images &all, const struct segment &segment,
              int image, const struct pixel_share &share) {
    const struct tensor &z = all.view.z;
    struct own_pixels<T> own;
    own.places = reinterpret_cast<struct packed<T> *>(memory) + threadIdx.x;
    own.z = image_pixels_of<T>(z, segment, image, share);
    own.entry = image_pixels_of<T>(all.gradient.tensor, segment, image, share);
    own.row = share.row, own.rows = share.rows;
    int pixels = z.height * z.width;
    own.count = share.row < share.rows ? (pixels - share.row + share.rows - 1) / share.rows : 0;
    return own;
}

/* d loss / d gate, on through the hard sigmoid, and what was pooled: for the image and for the
 * parameters' gradients. */
template <class T>
__device__ __forceinline__ void
leave_gate(unsigned char *memory, struct small_vectors &small, const struct lane_sums<1> &sums,
           const struct whole_images &all, const struct segment &segment, int image, int kept,
           const struct pixel_share &share) {
    float *d_gate = image_row(all.rows.d_gate, segment, image);
    float *pooled_row = image_row(all.rows.pooled, segment, image);
    const T *gate = tensor_row<T>(all.gate, segment, image);
    const T *pooled = tensor_row<T>(all.pooled, segment, image);
    struct sums_room<1, THREADS> &room = *reinterpret_cast<struct sums_room<1, THREADS> *>(memory);
    static_assert(sizeof room <= DEPTH * THREADS * sizeof(struct packed<T>), "z stays");
    add_rows(room, share, sums, [&](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float value = to_float(gate[channel]);
        d_gate[channel] = small.gate[channel] = value > 0 && value < 1 ? sum * (1.0f / 6.0f) : 0.0f;
        pooled_row[channel] = to_float(pooled[channel]);
    });
    __syncthreads();
}

/* Rows reach over all channels: zeros past those that the image keeps. */
__device__ __forceinline__ void clear_rest(const struct image_rows &rows,
                                           const struct segment &segment, int image, int kept) {
    for (int c = kept + (int)threadIdx.x; c < rows.length; c += THREADS)
        image_row(rows, segment, image)[c] = 0;
}

template <class T>
__global__ void __launch_bounds__(THREADS, 1)
    whole_image_backward_kernel(const struct whole_images all) {
    DYNAMIC_SHARED(unsigned char, memory);
    __shared__ struct small_vectors small;
    struct segment segment = all.segments[blockIdx.z];
    const struct tensor &z = all.view.z;
    int image = (int)blockIdx.y, kept = tensor_kept(&z, &segment), area = z.height * z.width;
    bool exists = image < segment.images;
    if (image < all.gradient.sums.parts)
        leave_count(all.gradient.sums, segment, exists && kept > 0 ? area : 0);
    if (!exists)
        return;
    int kept_hidden = tensor_kept(&all.hidden, &segment);
    clear_rest(all.rows.d_gate, segment, image, kept);
    clear_rest(all.rows.pooled, segment, image, kept);
    clear_rest(all.rows.hidden, segment, image, kept > 0 ? kept_hidden : 0);
    clear_rest(all.rows.d_hidden, segment, image, kept > 0 ? kept_hidden : 0);
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (share.vectors == 0)
        return;
    struct own_pixels<T> own = own_pixels_of<T>(memory, all, segment, image, share);
    for (int i = 0; i < DEPTH; i++)
        own.ask(i, true);
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, share.channel);
    struct lane_sums<1> of_gate;
    sum_gate(of_gate, own, all.view.activation, norm);
    leave_gate<T>(memory, small, of_gate, all, segment, image, kept, share);
    for (int i = 0; i < DEPTH; i++)
        own.ask(own.count - 1 - i, false);
    excite_image<T>(small, all, segment, image, kept, kept_hidden);

    struct image_lanes of_image;
    load8(of_image.factor, tensor_row<T>(all.gate, segment, image) + share.channel);
    FOR_LANES(of_image.term[lane] = small.pooled[share.channel + lane] / (float)area)
    struct lane_sums<2> sums;
    spread_image(sums, own, all, segment, norm, of_image, kept, share.channel);
    if (all.gradient.sums.parts > 0)
        leave_sums(*reinterpret_cast<struct sums_room<2, THREADS> *>(memory), share, sums,
                   all.gradient.sums, segment, z);
}

template <class T> size_t shared_of(const struct squeeze_excite *squeeze) {
    const struct tensor *z = squeeze->input.tensor;
    int vectors = pieces(z->channels, LANES), rows = THREADS / vectors;
    size_t turns = pieces((size_t)z->height * z->width, rows);
    size_t room = (DEPTH + turns) * THREADS * sizeof(struct packed<T>);
    size_t least = sizeof(struct sums_room<2, THREADS>);
    return room > least ? room : least;
}

bool is_small(const struct squeeze_excite *squeeze) {
    const struct tensor *z = squeeze->input.tensor;
    int channels = z->channels, hidden = squeeze->hidden.channels;
    return channels <= MOST_CHANNELS && hidden <= THREADS && channels * hidden <= MOST_WEIGHTS &&
           z->height * z->width >= LEAST_PIXELS;
}

struct whole_images whole_images_of(const struct squeeze_excite *squeeze,
                                    const struct slice *slice) {
    struct whole_images all = {};
    all.segments = slice->device_segments, all.view = device_view_of(&squeeze->input);
    all.pooled = squeeze->pooled, all.hidden = squeeze->hidden, all.gate = squeeze->gate;
    all.reduce = squeeze->reduce, all.reduce_bias = squeeze->reduce_bias;
    all.expand = squeeze->expand, all.expand_bias = squeeze->expand_bias;
    return all;
}

} /* namespace */

template <class T>
bool cuda_excite_images_forward(const struct squeeze_excite *squeeze, const struct slice *slice) {
    if (!is_small(squeeze))
        return false;
    LAUNCH(whole_image_forward_kernel<T>, dim3(1, largest_segment(slice), slice->count), THREADS, 0,
           cuda_stream(), whole_images_of(squeeze, slice));
    return true;
}

template <class T>
bool cuda_excite_images_backward(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, const struct slice *slice) {
    struct whole_images all = whole_images_of(squeeze, slice);
    all.gradient = view_gradient_of(&squeeze->input), all.rows = *rows;
    int parts = all.gradient.sums.parts, images = largest_segment(slice);
    if (!is_small(squeeze) || (parts > 0 && parts < images))
        return false;
    size_t shared = shared_of<T>(squeeze);
    if (cudaFuncSetAttribute(whole_image_backward_kernel<T>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)shared) != cudaSuccess) {
        cudaGetLastError(); /* too large for this device: no failure */
        return false;
    }
    LAUNCH(whole_image_backward_kernel<T>, dim3(1, parts > images ? parts : images, slice->count),
           THREADS, shared, cuda_stream(), all);
    return true;
}

#define INSTANTIATE(T)                                                                             \
    template bool cuda_excite_images_forward<T>(const struct squeeze_excite *,                     \
                                                const struct slice *);                             \
    template bool cuda_excite_images_backward<T>(                                                  \
        const struct squeeze_excite *, const struct excite_rows *, const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
