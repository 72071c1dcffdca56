/* How elementwise kernels share out a segment among threads.
 *
 * Pixels are packed, a narrow group has few channels: consecutive threads take consecutive vectors
 * of LANES channels, on through consecutive pixels, so that a warp reads without gaps. A thread
 * keeps to one vector of channels: its rows of batch-norms stay in registers, and so do the sums
 * that it collects. Wide pixels are cut into chunks of channels, one per block in x. */
#ifndef TAPER_PIXELS_CUH
#define TAPER_PIXELS_CUH

#include "cuda.cuh"

constexpr int PIXEL_THREADS = 256;
constexpr int CHUNK = 32; /* vectors of a pixel that a block takes at most */
constexpr unsigned ALL_LANES = (1u << LANES) - 1;

static inline int channel_chunks(int channels) {
    return pieces(channels, LANES * CHUNK);
}

/* Blocks in y for a pass that leaves no sums: what an H100 runs at once, as every block first waits
 * for what the segment keeps. */
static inline int pixel_parts(const struct slice *slice, int chunks, int pixels_of_image) {
    constexpr int BLOCKS = 4 * 132, PIXELS = 32 /* at least, of a block */;
    int wanted = pieces(BLOCKS, (size_t)chunks * slice->count);
    int most = pieces((size_t)largest_segment(slice) * pixels_of_image, PIXELS);
    return most < 1 ? 1 : wanted < most ? wanted : most;
}

struct pixel_share {
    int vectors;   /* of every pixel, that this block takes; 0: none */
    int vector;    /* this thread's among them */
    int channel;   /* the first of that vector */
    int row, rows; /* the thread takes the pixels row, row + rows, ...; idle: row == rows */
};

static __device__ __forceinline__ struct pixel_share pixel_share_of(int channels,
                                                                    int threads = PIXEL_THREADS) {
    struct pixel_share share = {};
    int all = (channels + LANES - 1) / LANES, chunks = (all + CHUNK - 1) / CHUNK;
    if ((int)blockIdx.x >= chunks)
        return share;
    int chunk = (all + chunks - 1) / chunks, first = (int)blockIdx.x * chunk;
    share.vectors = all - first < chunk ? all - first : chunk;
    share.rows = threads / share.vectors;
    share.row = (int)threadIdx.x / share.vectors;
    share.vector = (int)threadIdx.x % share.vectors;
    share.channel = (first + share.vector) * LANES;
    return share;
}

/* The pixels of this block's part, for a pass that leaves sums. Of the parts it uses so many that
 * all blocks, of all segments and chunks together, run at once on an H100: a few on each
 * multiprocessor, for the registers that sums take. Small tensors use fewer, that there be some
 * work in each. */
struct stretch {
    int begin, end;
};

static __device__ __forceinline__ struct stretch stretch_of(int pixels, int channels,
                                                            int blocks_at_once = 3) {
    constexpr int WORK = 4 /* vectors of a thread at least */, MULTIPROCESSORS = 132;
    int vectors = (channels + LANES - 1) / LANES, chunks = (vectors + CHUNK - 1) / CHUNK;
    int most = (int)(((long long)pixels * vectors) / (PIXEL_THREADS * WORK)) / max(1, chunks);
    int at_once = blocks_at_once * MULTIPROCESSORS / (max(1, chunks) * (int)gridDim.z);
    int parts = max(1, min(min(most, (int)gridDim.y), at_once));
    int part = min((int)blockIdx.y, parts), next = min((int)blockIdx.y + 1, parts);
    return {piece_begin(pixels, part, parts), piece_begin(pixels, next, parts)};
}

/* Which image a pixel is of, without a division for each: the product is at most one too small. */
struct image_area {
    int pixels;
    unsigned inverse;
    float share; /* of a pixel */
};
static inline struct image_area image_area_of(const struct tensor &tensor) {
    int pixels = tensor.height * tensor.width;
    return {pixels, 0xffffffffu / (unsigned)pixels, 1.0f / (float)pixels};
}
static __device__ __forceinline__ int image_of(const struct image_area &area, int pixel) {
    int image = (int)(((unsigned long long)pixel * area.inverse) >> 32);
    return image + (pixel - image * area.pixels >= area.pixels);
}

/* Of the vector that starts at `channel`, the lanes of channels below the limit, one bit each. */
static __device__ __forceinline__ unsigned lanes_below(int limit, int channel) {
    int count = limit - channel;
    return count >= LANES ? ALL_LANES : count <= 0 ? 0 : (1u << count) - 1;
}
static __device__ __forceinline__ bool has_lane(unsigned lanes, int lane) {
    return lanes >> lane & 1;
}

/* A vector as it comes from memory: a thread that waits for several has them in few registers. */
template <class T> struct packed;
template <> struct packed<float> { float4 low, high; };
template <> struct packed<bf16> { uint4 all; };
static __device__ __forceinline__ void load_packed(struct packed<float> &into, const float *from) {
    const float4 *at = reinterpret_cast<const float4 *>(from);
    into.low = at[0], into.high = at[1];
}
static __device__ __forceinline__ void load_packed(struct packed<bf16> &into, const bf16 *from) {
    into.all = *reinterpret_cast<const uint4 *>(from);
}
template <class T>
static __device__ __forceinline__ void unpack(float (&into)[LANES], const struct packed<T> &from) {
    load8(into, reinterpret_cast<const T *>(&from));
}

/* Pixels whose vectors a thread has under way at once: as many bytes for either type. */
template <class T> constexpr int FLIGHT = 32 / (LANES * (int)sizeof(T));

template <class T>
static __device__ __forceinline__ void store_lanes(T *to, const float (&from)[LANES],
                                                   unsigned lanes) {
    if (lanes == ALL_LANES) {
        store8(to, from);
        return;
    }
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
        if (has_lane(lanes, lane))
            to[lane] = from_float<T>(from[lane]);
}

/* Values as they are stored, and what the consumer will read. */
template <class T>
static __device__ __forceinline__ void pack_rounded(struct packed<T> &into,
                                                    float (&values)[LANES]) {
    store8(reinterpret_cast<T *>(&into), values);
    unpack(values, into);
}
static __device__ __forceinline__ void store_packed(float *to, const struct packed<float> &from) {
    float4 *at = reinterpret_cast<float4 *>(to);
    at[0] = from.low, at[1] = from.high;
}
static __device__ __forceinline__ void store_packed(bf16 *to, const struct packed<bf16> &from) {
    *reinterpret_cast<uint4 *>(to) = from.all;
}

/* The lanes of a gradient that may be written: where it keeps more channels than its tensor, those
 * belong to others. */
static __device__ __forceinline__ unsigned writable_lanes(const struct tensor &gradient,
                                                          const struct segment &segment, int kept,
                                                          int channel) {
    return tensor_kept(&gradient, &segment) == kept ? ALL_LANES : lanes_below(kept, channel);
}

/* The thread's rows of a batch-norm. */
struct norm_lanes {
    float scale[LANES], shift[LANES];
};

static __device__ __forceinline__ struct norm_lanes
norm_lanes_of(const struct norm_view &norm, const struct segment &segment, int channel) {
    struct norm_lanes lanes;
    if (norm.scale != NULL) {
        load8(lanes.scale, norm.scale + norm.row(segment) + channel);
        load8(lanes.shift, norm.shift + norm.row(segment) + channel);
        return lanes;
    }
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
        lanes.scale[lane] = 1, lanes.shift[lane] = 0;
    return lanes;
}

/* The block's rows of a batch-norm in shared memory, where a thread's registers hold sums. Halves
 * of vectors lie apart, so that neighbouring vectors are in different banks. */
enum norm_row { ROW_SCALE, ROW_SHIFT, ROW_MEAN, NORM_ROWS };
struct norm_room {
    float4 rows[NORM_ROWS][2][CHUNK];
};

static __device__ __forceinline__ void put_norm_row(struct norm_room &room, enum norm_row which,
                                                    const struct pixel_share &share,
                                                    const float *row) {
    const float4 *from = reinterpret_cast<const float4 *>(row + share.channel);
    room.rows[which][0][share.vector] = from[0];
    room.rows[which][1][share.vector] = from[1];
}

static __device__ __forceinline__ void
get_norm_row(float (&into)[LANES], const struct norm_room &room, enum norm_row which, int vector) {
    float4 low = room.rows[which][0][vector], high = room.rows[which][1][vector];
    into[0] = low.x, into[1] = low.y, into[2] = low.z, into[3] = low.w;
    into[4] = high.x, into[5] = high.y, into[6] = high.z, into[7] = high.w;
}

/* All threads of the block must come. Nothing is put where there is no norm. */
static __device__ __forceinline__ void fill_norm_room(struct norm_room &room,
                                                      const struct pixel_share &share,
                                                      const struct norm_view &norm,
                                                      const struct segment &segment, int kept) {
    if (norm.scale != NULL && share.row == 0 && share.channel < kept) {
        put_norm_row(room, ROW_SCALE, share, norm.scale + norm.row(segment));
        put_norm_row(room, ROW_SHIFT, share, norm.shift + norm.row(segment));
        put_norm_row(room, ROW_MEAN, share, norm.mean + norm.row(segment));
    }
    __syncthreads();
}

#define FOR_LANES(...)                                                                             \
    _Pragma("unroll") for (int lane = 0; lane < LANES; lane++) {                                   \
        __VA_ARGS__;                                                                               \
    }
/* z becomes activation(scale z + shift). */
static __device__ __forceinline__ void activate8(enum activation activation,
                                                 const struct norm_lanes &norm, float (&z)[LANES]) {
    with_activation(activation, [&](auto kind) {
        FOR_LANES(z[lane] = activate(kind, norm.scale[lane] * z[lane] + norm.shift[lane]))
    });
}

/* da becomes da times the activation's slope at y = norm(z), in the lanes given; the others stay.
 */
static __device__ __forceinline__ void through_view8(enum activation activation,
                                                     const struct norm_view &norm,
                                                     const struct norm_room &room, int vector,
                                                     const float (&z)[LANES], float (&da)[LANES],
                                                     unsigned lanes) {
    float y[LANES], row[LANES];
    FOR_LANES(y[lane] = z[lane])
    if (norm.scale != NULL) {
        get_norm_row(row, room, ROW_SCALE, vector);
        FOR_LANES(y[lane] *= row[lane])
        get_norm_row(row, room, ROW_SHIFT, vector);
        FOR_LANES(y[lane] += row[lane])
    }
    with_activation(activation, [&](auto kind) {
        FOR_LANES(da[lane] *= has_lane(lanes, lane) ? activation_slope(kind, y[lane]) : 1.0f)
    });
}

/* The same for a thread that has its rows in registers. */
static __device__ __forceinline__ void slope8(enum activation activation,
                                              const struct norm_lanes &norm,
                                              const float (&z)[LANES], float (&da)[LANES]) {
    with_activation(activation, [&](auto kind) {
        FOR_LANES(da[lane] *= activation_slope(kind, norm.scale[lane] * z[lane] + norm.shift[lane]))
    });
}

template <class T> static __device__ __forceinline__ void round8(float (&values)[LANES]) {
    FOR_LANES(values[lane] = rounded<T>(values[lane]))
}

/* ------------------------------------------------------------------ sums over a block's pixels */

/* SUMS sums of every channel of the thread's vector. */
template <int SUMS> struct lane_sums {
    float of[SUMS][LANES];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int which = 0; which < SUMS; which++)
            FOR_LANES(of[which][lane] = 0)
    }
};

template <int SUMS, int THREADS = PIXEL_THREADS> struct sums_room {
    float rows[THREADS * SUMS * LANES];
    float groups[THREADS];
};

/* Adds the rows' sums in a fixed order and gives each to use(which, channel, sum). All threads of
 * the block must come. With few channels there are many rows: then several threads share a sum. */
template <int SUMS, int THREADS, class Use>
static __device__ __forceinline__ void add_rows(struct sums_room<SUMS, THREADS> &room,
                                                const struct pixel_share &share,
                                                const struct lane_sums<SUMS> &sums, Use use) {
    int channels = share.vectors * LANES, all = SUMS * channels, thread = (int)threadIdx.x;
    int first = share.channel - share.vector * LANES;
    if (share.row < share.rows)
#pragma unroll
        for (int which = 0; which < SUMS; which++)
            store8(room.rows + share.row * all + which * channels + share.vector * LANES,
                   sums.of[which]);
    __syncthreads();
    int groups = THREADS / all;
    if (groups > 1) {
        float sum = 0;
        for (int row = thread / all; row < share.rows && thread < groups * all; row += groups)
            sum += room.rows[row * all + thread % all];
        room.groups[thread] = sum;
        __syncthreads();
        if (thread < all) {
            for (int group = 1; group < groups; group++)
                sum += room.groups[group * all + thread];
            use(thread / channels, first + thread % channels, sum);
        }
        return;
    }
    for (int at = thread; at < all; at += THREADS) {
        float sum = 0;
        for (int row = 0; row < share.rows; row++)
            sum += room.rows[row * all + at];
        use(at / channels, first + at % channels, sum);
    }
}

/* The two sums of a backward pass into the batch-norm's partials. Segment and share: made once more
 * rather than kept in registers all the while. */
template <int THREADS>
static __device__ __forceinline__ void
leave_sums(struct sums_room<2, THREADS> &room, const struct pixel_share &share,
           const struct lane_sums<2> &sums, const struct partial_sums &into,
           const struct segment &segment, const struct tensor &z) {
    int kept = tensor_kept(&z, &segment);
    float *dy = into.at(segment, (int)blockIdx.y, 0), *dy_z = into.at(segment, (int)blockIdx.y, 1);
    add_rows(room, share, sums, [=](int which, int channel, float sum) {
        if (channel < kept)
            (which ? dy_z : dy)[channel] = sum;
    });
}

/* How many pixels stand behind this block's part. */
static __device__ __forceinline__ void leave_count(const struct partial_sums &into,
                                                   const struct segment &segment, int pixels) {
    if (into.parts > 0 && blockIdx.x == 0 && threadIdx.x == 0)
        *into.count_at(segment, (int)blockIdx.y) = (float)pixels;
}

/* The thread's d loss / d norm(z) (rounded as it is stored) and z to its two sums. */
static __device__ __forceinline__ void sum_gradient(struct lane_sums<2> &sums,
                                                    const struct norm_room &room, int vector,
                                                    const float (&z)[LANES],
                                                    const float (&dy)[LANES]) {
    float mean[LANES];
    get_norm_row(mean, room, ROW_MEAN, vector);
    FOR_LANES(sums.of[0][lane] += dy[lane]; sums.of[1][lane] += dy[lane] * (z[lane] - mean[lane]))
}

#endif
