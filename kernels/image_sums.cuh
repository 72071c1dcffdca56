/* What pool and squeeze-excite share: sums over the pixels of every image as its view shows it. */
#ifndef TAPER_IMAGE_SUMS_CUH
#define TAPER_IMAGE_SUMS_CUH

#include "mma.cuh"
#include "pixels.cuh"

/* A row of floats for every image slot from `first` on; at NULL: none. */
struct image_rows {
    float *at;
    int length, first;
};

static __device__ __forceinline__ float *image_row(const struct image_rows &rows,
                                                   const struct segment &segment, int image) {
    return rows.at + (size_t)(segment.first - rows.first + image) * rows.length;
}

/* Of a tensor with one pixel per image. */
template <class T>
static __device__ __forceinline__ T *tensor_row(const struct tensor &tensor,
                                                const struct segment &segment, int image) {
    return segment_data<T>(tensor, segment) + (size_t)image * tensor_ld(&tensor, &segment);
}

/* A block has an image and a chunk of its channels to itself: so many threads that each has a dozen
 * pixels to hide what comes before and after, but all together enough bytes under way. */
constexpr int FEW_THREADS = 128, SOME_THREADS = 256, MANY_THREADS = 512;
template <int THREADS>
constexpr int IMAGE_BLOCKS = THREADS == FEW_THREADS    ? 4
                             : THREADS == SOME_THREADS ? 3
                                                       : 1;
#define LAUNCH_ON_IMAGES(kernel, T, tensor, slice, ...)                                            \
    do {                                                                                           \
        int area_of_image = (tensor).height * (tensor).width;                                      \
        dim3 images(channel_chunks((tensor).channels), largest_segment(slice), (slice)->count);    \
        if (area_of_image <= 64)                                                                   \
            LAUNCH((kernel<T, FEW_THREADS>), images, FEW_THREADS, 0, cuda_stream(), __VA_ARGS__);  \
        else if (area_of_image <= 256)                                                             \
            LAUNCH((kernel<T, SOME_THREADS>), images, SOME_THREADS, 0, cuda_stream(),              \
                   __VA_ARGS__);                                                                   \
        else                                                                                       \
            LAUNCH((kernel<T, MANY_THREADS>), images, MANY_THREADS, 0, cuda_stream(),              \
                   __VA_ARGS__);                                                                   \
    } while (0)

/* The pixels of one image at the thread's channels. */
template <class T> struct image_pixels {
    const T *at;
    int ld;
};
template <class T>
static __device__ __forceinline__ struct image_pixels<T>
image_pixels_of(const struct tensor &tensor, const struct segment &segment, int image,
                const struct pixel_share &share) {
    int ld = tensor_ld(&tensor, &segment);
    size_t first = (size_t)image * tensor.height * tensor.width;
    return {segment_data<T>(tensor, segment) + first * ld + share.channel, ld};
}

/* There after a wait. */
template <class T>
static __device__ __forceinline__ void ask_vector(struct packed<T> &into, const T *from) {
    constexpr int STEP = (int)sizeof(float4) / (int)sizeof(T);
    T *to = reinterpret_cast<T *>(&into);
#pragma unroll
    for (int i = 0; i < LANES; i += STEP)
        copy_async(to + i, from + i);
}

/* Vectors that the threads of a block have under way, in shared memory: each has places of its own,
 * and waits for nobody else. In registers the compiler would wait for them too early. */
template <class T, int TENSORS, int THREADS> struct vectors_ahead {
    static constexpr int BYTES = 48 << 10, ALL = TENSORS * THREADS * LANES * (int)sizeof(T);
    static constexpr int MOST = 8 / TENSORS, DEPTH = BYTES / ALL < MOST ? BYTES / ALL : MOST;
    struct packed<T> of[DEPTH][TENSORS][THREADS];

    __device__ __forceinline__ void ask(int place, int tensor, const T *from) {
        ask_vector(of[place][tensor][threadIdx.x], from);
    }
    /* The oldest that has been asked for, of DEPTH. */
    __device__ __forceinline__ void wait() {
        copy_async_wait<DEPTH - 1>();
    }
    __device__ __forceinline__ void take(float (&into)[LANES], int place, int tensor) const {
        unpack(into, of[place][tensor][threadIdx.x]);
    }
};
/* The places are over when the sums of the block's threads come together. */
template <class T, int TENSORS, int SUMS, int THREADS> union pixel_room {
    struct vectors_ahead<T, TENSORS, THREADS> ahead;
    struct sums_room<SUMS, THREADS> sums;
};

/* The thread's sums of a, or of a times `factor`. As soon as a vector has been taken, the next is
 * on its way in its place. */
template <class T, int TENSORS, int THREADS>
static __device__ __forceinline__ void
sum_image(struct lane_sums<1> &sums, struct vectors_ahead<T, TENSORS, THREADS> &ahead,
          const struct device_view &view, const struct segment &segment,
          const struct pixel_share &share, const struct image_pixels<T> &z,
          const struct image_pixels<T> &factor) {
    constexpr int DEPTH = vectors_ahead<T, TENSORS, THREADS>::DEPTH;
    int rows = share.rows, end = share.row < rows ? view.z.height * view.z.width : 0;
    auto ask = [&](int place, int pixel) {
        if (pixel < end) {
            ahead.ask(place, 0, z.at + pixel * z.ld);
            if (TENSORS == 2)
                ahead.ask(place, TENSORS - 1, factor.at + pixel * factor.ld);
        }
        copy_async_commit();
    };
#pragma unroll
    for (int i = 0; i < DEPTH; i++)
        ask(i, share.row + i * rows);
    struct norm_lanes norm = norm_lanes_of(view.norm, segment, share.channel);
    sums.clear();
    int place = 0;
#pragma unroll 1
    for (int pixel = share.row; pixel < end; pixel += rows) {
        float a[LANES], times[LANES];
        ahead.wait();
        ahead.take(a, place, 0);
        ahead.take(times, place, TENSORS - 1);
        ask(place, pixel + DEPTH * rows);
        place = place + 1 == DEPTH ? 0 : place + 1;
        activate8(view.activation, norm, a);
        FOR_LANES(sums.of[0][lane] = TENSORS == 2 ? fmaf(times[lane], a[lane], sums.of[0][lane])
                                                  : sums.of[0][lane] + a[lane])
    }
    copy_async_wait<0>();
    __syncthreads();
}

/* mean: [image][1][1][kept]. The rows, if any, get the means before they are rounded to T. */
template <class T>
enum status cuda_image_mean(const struct view *view, const struct tensor *mean,
                            const struct image_rows *rows, const struct slice *slice);

#endif
