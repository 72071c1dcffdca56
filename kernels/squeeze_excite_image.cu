/* Squeeze-excite backward where an image fits into a multiprocessor and the matrices are small: a
 * block takes an image through all of it. z stays in shared memory, and d loss / d (a gate) in the
 * cache, until it is read once more. */
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
    const float *reduce, *expand;
};

struct small_vectors {
    float d_gate[MOST_CHANNELS], d_pooled[MOST_CHANNELS], d_hidden[THREADS], shares[THREADS];
};

/* use(n, sum over k of from[k] weight[n step_n + k step_k]): threads share sums out. */
template <class Use>
__device__ __forceinline__ void multiply(struct small_vectors &room, const float *from,
                                         const float *weight, int step_n, int step_k, int kept_n,
                                         int kept_k, Use use) {
    int thread = (int)threadIdx.x, groups = kept_n > 0 ? THREADS / kept_n : 0;
    float sum = 0;
    if (thread < groups * kept_n)
#pragma unroll 8
        for (int k = thread / kept_n; k < kept_k; k += groups)
            sum += from[k] * weight[(size_t)(thread % kept_n) * step_n + (size_t)k * step_k];
    room.shares[thread] = sum;
    __syncthreads();
    if (thread < kept_n) {
        for (int group = 1; group < groups; group++)
            sum += room.shares[group * kept_n + thread];
        use(thread, sum);
    }
    __syncthreads();
}

/* From d loss / d gate to d loss / d pooled, and the rows that the parameters' gradients take. */
template <class T>
__device__ __forceinline__ void excite_image(struct small_vectors &room,
                                             const struct whole_images &all,
                                             const struct segment &segment, int image, int kept) {
    int channels = all.pooled.channels, hidden = all.hidden.channels;
    int kept_hidden = tensor_kept(&all.hidden, &segment);
    const T *values = tensor_row<T>(all.hidden, segment, image);
    float *value_row = image_row(all.rows.hidden, segment, image);
    float *d_row = image_row(all.rows.d_hidden, segment, image);
    for (int h = kept_hidden + (int)threadIdx.x; h < all.rows.hidden.length; h += THREADS)
        value_row[h] = d_row[h] = 0;
    multiply(room, room.d_gate, all.expand, 1, hidden, kept_hidden, kept, [&](int h, float sum) {
        value_row[h] = to_float(values[h]);
        d_row[h] = room.d_hidden[h] = value_row[h] > 0 ? sum : 0;
    });
    multiply(room, room.d_hidden, all.reduce, 1, channels, kept, kept_hidden,
             [&](int c, float sum) { room.d_pooled[c] = sum; });
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

/* Of all images of a segment, and zeros in what is left of the rows. */
template <class T>
__global__ void __launch_bounds__(THREADS, 1) whole_image_kernel(const struct whole_images all) {
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
    float *d_gate = image_row(all.rows.d_gate, segment, image);
    float *pooled_row = image_row(all.rows.pooled, segment, image);
    for (int c = kept + (int)threadIdx.x; c < all.rows.d_gate.length; c += THREADS)
        d_gate[c] = pooled_row[c] = 0;
    struct pixel_share share = pixel_share_of(kept, THREADS);
    if (share.vectors == 0) {
        excite_image<T>(small, all, segment, image, 0);
        return;
    }
    typedef struct packed<T> place;
    struct own_pixels<T> own = {
        reinterpret_cast<place *>(memory) + threadIdx.x,
            image_pixels_of<T>(z, segment, image, share),
            image_pixels_of<T>(all.gradient.tensor, segment, image, share), 0, share.row, share.rows
    };
    if (share.row < share.rows)
        own.count = (area - share.row + share.rows - 1) / share.rows;
    for (int i = 0; i < DEPTH; i++)
        own.ask(i, true);
    struct norm_lanes norm = norm_lanes_of(all.view.norm, segment, share.channel);
    struct lane_sums<1> of_gate;
    sum_gate(of_gate, own, all.view.activation, norm);
    const T *gate = tensor_row<T>(all.gate, segment, image);
    const T *pooled = tensor_row<T>(all.pooled, segment, image);
    struct sums_room<1, THREADS> &room = *reinterpret_cast<struct sums_room<1, THREADS> *>(memory);
    static_assert(sizeof room <= DEPTH * THREADS * sizeof(struct packed<T>), "z stays");
    add_rows(room, share, of_gate, [&](int, int channel, float sum) {
        if (channel >= kept)
            return;
        float value = to_float(gate[channel]);
        d_gate[channel] = small.d_gate[channel] =
            value > 0 && value < 1 ? sum * (1.0f / 6.0f) : 0.0f;
        pooled_row[channel] = to_float(pooled[channel]);
    });
    __syncthreads();
    for (int i = 0; i < DEPTH; i++)
        own.ask(own.count - 1 - i, false);
    excite_image<T>(small, all, segment, image, kept);

    struct image_lanes of_image;
    load8(of_image.factor, gate + share.channel);
    FOR_LANES(of_image.term[lane] = small.d_pooled[share.channel + lane] / (float)area)
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

} /* namespace */

template <class T>
bool cuda_excite_whole_images(const struct squeeze_excite *squeeze, const struct excite_rows *rows,
                              const struct slice *slice) {
    const struct tensor *z = squeeze->input.tensor;
    int channels = z->channels, hidden = squeeze->hidden.channels;
    struct whole_images all = {};
    all.gradient = view_gradient_of(&squeeze->input);
    int parts = all.gradient.sums.parts, images = largest_segment(slice);
    if (channels > MOST_CHANNELS || hidden > THREADS || channels * hidden > MOST_WEIGHTS ||
        z->height * z->width < LEAST_PIXELS || (parts > 0 && parts < images))
        return false;
    size_t shared = shared_of<T>(squeeze);
    if (cudaFuncSetAttribute(whole_image_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)shared) != cudaSuccess) {
        cudaGetLastError(); /* too large for this device: no failure */
        return false;
    }
    all.segments = slice->device_segments, all.view = device_view_of(&squeeze->input);
    all.pooled = squeeze->pooled, all.hidden = squeeze->hidden, all.gate = squeeze->gate;
    all.rows = *rows;
    all.reduce = squeeze->reduce, all.expand = squeeze->expand;
    LAUNCH(whole_image_kernel<T>, dim3(1, parts > images ? parts : images, slice->count), THREADS,
           shared, cuda_stream(), all);
    return true;
}

template bool cuda_excite_whole_images<float>(const struct squeeze_excite *,
                                              const struct excite_rows *, const struct slice *);
template bool cuda_excite_whole_images<bf16>(const struct squeeze_excite *,
                                             const struct excite_rows *, const struct slice *);
