/* Bytes to elements: pictures of a segment lie one behind the other on both sides. */
#include "cuda_ops.h"

constexpr int THREADS = 256, WIDTH = 16; /* bytes that a thread takes at once */

struct normalising {
    const struct segment *segments;
    const uint8_t *pictures;
    struct tensor output;
    const float *mean, *deviation;
};

template <class T>
static __device__ __forceinline__ void store_all(T *to, const float (&from)[WIDTH]) {
#pragma unroll
    for (int first = 0; first < WIDTH; first += LANES) {
        float values[LANES];
#pragma unroll
        for (int i = 0; i < LANES; i++)
            values[i] = from[first + i];
        store8(to + first, values);
    }
}

template <class T>
static __global__ void __launch_bounds__(THREADS) normalise_kernel(const struct normalising n) {
    DYNAMIC_SHARED(float2, factors); /* [channel] 1 / (255 deviation), mean / deviation */
    struct segment segment = n.segments[blockIdx.y];
    int channels = n.output.channels;
    for (int c = (int)threadIdx.x; c < channels; c += THREADS)
        factors[c] = {1 / (255 * n.deviation[c]), n.mean[c] / n.deviation[c]};
    __syncthreads();
    size_t picture = (size_t)n.output.height * n.output.width * channels;
    size_t count = segment.images * picture;
    const uint8_t *from = n.pictures + segment.picture * picture;
    T *into = segment_data<T>(n.output, segment);
    bool whole = (size_t)from % WIDTH == 0 && (size_t)into % (LANES * sizeof(T)) == 0;
    size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) * WIDTH;
    if (at >= count)
        return;
    int end = count - at < WIDTH ? (int)(count - at) : WIDTH;
    whole = whole && end == WIDTH;
    uint8_t bytes[WIDTH] = {};
    if (whole) {
        uint4 all = *reinterpret_cast<const uint4 *>(from + at);
        const unsigned words[] = {all.x, all.y, all.z, all.w};
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            bytes[i] = (uint8_t)(words[i / 4] >> i % 4 * 8);
    } else {
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            if (i < end)
                bytes[i] = from[at + i];
    }
    float values[WIDTH];
    int channel = (int)(at % channels);
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        float2 factor = factors[channel];
        values[i] = (float)bytes[i] * factor.x - factor.y;
        channel = channel + 1 == channels ? 0 : channel + 1;
    }
    if (whole) {
        store_all(into + at, values);
    } else {
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            if (i < end)
                into[at + i] = from_float<T>(values[i]);
    }
}

template <class T>
enum status cuda_normalise_pictures(const struct normalise_pictures *normalise,
                                    const struct slice *slice) {
    const struct tensor *output = &normalise->output;
    struct normalising all = {slice->device_segments, normalise->pictures, *output, normalise->mean,
                              normalise->deviation};
    size_t count =
        (size_t)largest_segment(slice) * output->height * output->width * output->channels;
    dim3 grid(pieces(count, (size_t)THREADS * WIDTH), slice->count);
    LAUNCH(normalise_kernel<T>, grid, THREADS, output->channels * sizeof(float2), cuda_stream(),
           all);
    return cuda_launched("normalise_pictures");
}

template enum status cuda_normalise_pictures<float>(const struct normalise_pictures *,
                                                    const struct slice *);
template enum status cuda_normalise_pictures<bf16>(const struct normalise_pictures *,
                                                   const struct slice *);
