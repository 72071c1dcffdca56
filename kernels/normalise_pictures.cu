/* Bytes to elements: pictures of a segment lie one behind the other on both sides. */
#include "cuda_ops.h"

constexpr int THREADS = 256, WIDTH = 4;
constexpr int TURNS = 4; /* of a thread */

struct normalising {
    const struct segment *segments;
    const uint8_t *pictures;
    struct tensor output;
    const float *mean, *deviation;
};

static __device__ __forceinline__ void store4(float *to, const float (&from)[WIDTH]) {
    *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
}
static __device__ __forceinline__ void store4(bf16 *to, const float (&from)[WIDTH]) {
    *reinterpret_cast<uint2 *>(to) =
        make_uint2(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]));
}

template <class T>
static __global__ void __launch_bounds__(THREADS) normalise_kernel(const struct normalising n) {
    DYNAMIC_SHARED(float, factors); /* [channel] 1 / (255 deviation), then mean / deviation */
    struct segment segment = n.segments[blockIdx.y];
    int channels = n.output.channels;
    for (int c = (int)threadIdx.x; c < channels; c += THREADS) {
        factors[c] = 1 / (255 * n.deviation[c]);
        factors[channels + c] = n.mean[c] / n.deviation[c];
    }
    __syncthreads();
    size_t picture = (size_t)n.output.height * n.output.width * channels;
    size_t count = segment.images * picture;
    const uint8_t *from = n.pictures + segment.picture * picture;
    T *into = segment_data<T>(n.output, segment);
    bool whole = (size_t)from % WIDTH == 0 && (size_t)into % (WIDTH * sizeof(T)) == 0;
#pragma unroll
    for (int turn = 0; turn < TURNS; turn++) {
        size_t at = (((size_t)blockIdx.x * TURNS + turn) * THREADS + threadIdx.x) * WIDTH;
        if (at >= count)
            break;
        int end = count - at < WIDTH ? (int)(count - at) : WIDTH;
        uint8_t bytes[WIDTH] = {};
        if (whole && end == WIDTH) {
            uchar4 all = *reinterpret_cast<const uchar4 *>(from + at);
            bytes[0] = all.x, bytes[1] = all.y, bytes[2] = all.z, bytes[3] = all.w;
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
            values[i] = (float)bytes[i] * factors[channel] - factors[channels + channel];
            channel = channel + 1 == channels ? 0 : channel + 1;
        }
        if (whole && end == WIDTH) {
            store4(into + at, values);
        } else {
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                if (i < end)
                    into[at + i] = from_float<T>(values[i]);
        }
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
    dim3 grid(pieces(count, (size_t)THREADS * TURNS * WIDTH), slice->count);
    LAUNCH(normalise_kernel<T>, grid, THREADS, 2 * output->channels * sizeof(float), cuda_stream(),
           all);
    return cuda_launched("normalise_pictures");
}

template enum status cuda_normalise_pictures<float>(const struct normalise_pictures *,
                                                    const struct slice *);
template enum status cuda_normalise_pictures<bf16>(const struct normalise_pictures *,
                                                   const struct slice *);
