/* Dense k x k convolution (the stem), forward. A thread makes LANES outputs of a few neighbouring
 * pixels of a row; with bf16, tensor cores make the stem (stem.cuh). */
#include "stem.cuh"

namespace {

constexpr int THREADS = 128, CHUNK = 2 * LANES /* outputs of a block */,
              STRIPS = THREADS * LANES / CHUNK, RUN = 4 /* pixels of a thread */;

struct forward {
    struct device_view input;
    struct tensor output;
    struct partial_sums sums;
    const float *prepared, *bias;
    const int *kernels;
    const struct segment *segments;
    int kernel, stride;
    int parts; /* with pixels */
};

static inline __host__ __device__ int weight_ld(int outputs) {
    return round_up(outputs, LANES);
}

/* Outputs [first, first + LANES) of one pixel, added to z. */
template <class T>
__device__ void any_pixel(const struct forward &op, const struct segment &segment, int image, int y,
                          int x, int first, float (&z)[LANES]) {
    const struct tensor &input = op.input.z;
    int kept = op.kernels[segment.group], inputs = input.kept[segment.group];
    for (int t = 0; t < kept * kept; t++) {
        int up = t / kept - kept / 2, right = t % kept - kept / 2;
        int row = y * op.stride + up, column = x * op.stride + right;
        if (row < 0 || row >= input.height || column < 0 || column >= input.width)
            continue;
        int pixel = (image * input.height + row) * input.width + column;
        int tap = (op.kernel / 2 + up) * op.kernel + op.kernel / 2 + right;
        for (int i = 0; i < inputs; i++) {
            float a = seen_at<T>(op.input, segment, pixel, i), weight[LANES];
            size_t at = (size_t)tap * input.channels + i;
            load8(weight, op.prepared + at * weight_ld(op.output.channels) + first);
#pragma unroll
            for (int c = 0; c < LANES; c++)
                z[c] = fmaf(weight[c], a, z[c]);
        }
    }
}

/* A run of the stem. taps: shared, [tap][in][CHUNK], zero where the group keeps a smaller kernel.
 */
template <class T>
__device__ __forceinline__ void stem_run(const struct forward &op, const T *image, int y, int x,
                                         const float *taps, float (&z)[RUN][LANES]) {
    constexpr int COLUMNS = STEM_STRIDE * (RUN - 1) + STEM_KERNEL;
    int height = op.input.z.height, width = op.input.z.width, left = STEM_STRIDE * x - 1;
#pragma unroll 1
    for (int ky = 0; ky < STEM_KERNEL; ky++) {
        int row = STEM_STRIDE * y + ky - 1;
        if (row < 0 || row >= height)
            continue;
        const T *from = image + (ptrdiff_t)(row * width + left) * STEM_INPUTS;
        float a[COLUMNS * STEM_INPUTS];
#pragma unroll
        for (int n = 0; n < COLUMNS * STEM_INPUTS; n++) {
            bool exists = (unsigned)(left + n / STEM_INPUTS) < (unsigned)width;
            a[n] = exists ? to_float(from[n]) : 0.0f;
        }
#pragma unroll
        for (int k = 0; k < STEM_KERNEL * STEM_INPUTS; k++) {
            float weight[LANES];
            load8(weight, taps + (ky * STEM_KERNEL * STEM_INPUTS + k) * CHUNK);
#pragma unroll
            for (int p = 0; p < RUN; p++)
#pragma unroll
                for (int c = 0; c < LANES; c++)
                    z[p][c] = fmaf(weight[c], a[STEM_STRIDE * STEM_INPUTS * p + k], z[p][c]);
        }
    }
}

/* About the thread's first value. */
struct moments {
    float origin[LANES], first[LANES], second[LANES];
    int count;
};

template <class T>
__device__ __forceinline__ void leave_pixel(const struct forward &op, T *to, int first, int kept,
                                            const float (&z)[LANES], struct moments *moments) {
    float value[LANES];
#pragma unroll
    for (int c = 0; c < LANES; c++)
        value[c] = op.bias != NULL && first + c < kept ? z[c] + op.bias[first + c] : z[c];
    if (op.output.align % LANES == 0) {
        store8(to, value);
    } else {
        for (int c = 0; c < LANES; c++)
            if (first + c < kept)
                to[c] = from_float<T>(value[c]);
    }
    if (op.sums.parts == 0)
        return;
#pragma unroll
    for (int c = 0; c < LANES; c++) {
        float stored = rounded<T>(value[c]);
        if (moments->count == 0)
            moments->origin[c] = stored;
        float deviation = stored - moments->origin[c];
        moments->first[c] += deviation;
        moments->second[c] += deviation * deviation;
    }
    moments->count++;
}

/* All strips' moments to the part's, in the order of strips. */
__device__ void leave_moments(const struct forward &op, const struct segment &segment, int kept,
                              const struct moments &moments) {
    __shared__ float means[THREADS * LANES], squares[THREADS * LANES], counts[STRIPS];
    float n = (float)moments.count;
    for (int c = 0; c < LANES; c++) {
        float shift = n > 0 ? moments.first[c] / n : 0.0f;
        means[threadIdx.x * LANES + c] = moments.origin[c] + shift;
        squares[threadIdx.x * LANES + c] =
            fmaxf(moments.second[c] - moments.first[c] * shift, 0.0f);
    }
    if (threadIdx.x % (CHUNK / LANES) == 0)
        counts[threadIdx.x / (CHUNK / LANES)] = n;
    __syncthreads();
    int c = (int)threadIdx.x, part = (int)blockIdx.y, channel = (int)blockIdx.x * CHUNK + c;
    if (c >= CHUNK)
        return;
    float count = 0.0f, mean = 0.0f, square = 0.0f;
    for (int s = 0; s < STRIPS; s++) {
        if (counts[s] == 0.0f)
            continue;
        float sum = count + counts[s], share = counts[s] / sum;
        float apart = means[s * CHUNK + c] - mean;
        mean += apart * share;
        square += squares[s * CHUNK + c] + apart * apart * count * share;
        count = sum;
    }
    if (channel == 0)
        *op.sums.count_at(segment, part) = count;
    if (count > 0.0f && channel < kept) {
        op.sums.at(segment, part, 0)[channel] = mean;
        op.sums.at(segment, part, 1)[channel] = square;
    }
}

__device__ void load_stem_taps(const struct forward &op, const struct segment &segment,
                               float *taps) {
    int kept = op.kernels[segment.group], ld = weight_ld(op.output.channels);
    for (int i = (int)threadIdx.x; i < STEM_ROWS * CHUNK; i += THREADS) {
        int row = i / CHUNK, tap = row / STEM_INPUTS, o = (int)blockIdx.x * CHUNK + i % CHUNK;
        bool is_kept = kept == STEM_KERNEL || tap == STEM_KERNEL * STEM_KERNEL / 2;
        taps[i] = is_kept && o < ld ? op.prepared[(size_t)row * ld + o] : 0.0f;
    }
    __syncthreads();
}

template <class T, bool STEM>
__global__ void __launch_bounds__(THREADS, 3) dense_forward(const struct forward op) {
    __shared__ __align__(16) float taps[STEM ? STEM_ROWS * CHUNK : 4];
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &input = op.input.z, &output = op.output;
    int kept = output.kept[segment.group], ld = tensor_ld(&output, &segment);
    if (kept == 0 || (int)blockIdx.y >= op.parts) {
        if (op.sums.parts > 0 && blockIdx.x == 0 && threadIdx.x == 0)
            *op.sums.count_at(segment, (int)blockIdx.y) = 0.0f;
        return;
    }
    if ((int)blockIdx.x * CHUNK >= kept)
        return;
    if (STEM)
        load_stem_taps(op, segment, taps);

    int lane = (int)threadIdx.x % (CHUNK / LANES), strip = (int)threadIdx.x / (CHUNK / LANES);
    int first = (int)blockIdx.x * CHUNK + lane * LANES, across = (output.width + RUN - 1) / RUN;
    int all = segment.images * output.height * across, part = (int)blockIdx.y;
    int begin = piece_begin(all, part, op.parts), end = piece_begin(all, part + 1, op.parts);
    size_t picture = (size_t)input.height * input.width * tensor_ld(&input, &segment);
    struct moments moments = {};
#pragma unroll 1
    for (int run = begin + strip; run < end && first < kept; run += STRIPS) {
        int x = run % across * RUN, y = run / across % output.height;
        int image = run / across / output.height;
        float z[RUN][LANES] = {};
        if (STEM)
            stem_run<T>(op, segment_data<T>(input, segment) + image * picture, y, x,
                        taps + lane * LANES, z);
        T *to = segment_data<T>(output, segment) +
                ((size_t)(image * output.height + y) * output.width + x) * ld + first;
#pragma unroll
        for (int p = 0; p < RUN; p++) {
            if (x + p >= output.width)
                continue;
            if (!STEM)
                any_pixel<T>(op, segment, image, y, x + p, first, z[p]);
            leave_pixel<T>(op, to + (size_t)p * ld, first, kept, z[p], &moments);
        }
    }
    if (op.sums.parts > 0)
        leave_moments(op, segment, kept, moments);
}

/* ------------------------------------------------------------------ the stem, bf16 */

/* A lane's four outputs of a pixel are neighbours: the columns of both products are dealt so. */
constexpr int STEM_QUAD = 4;

static __device__ __forceinline__ unsigned stem_weight(const struct forward &op, int kept, int row,
                                                       int output) {
    int tap = row / STEM_INPUTS, ld = weight_ld(op.output.channels);
    bool is_kept = kept == STEM_KERNEL || tap == STEM_KERNEL * STEM_KERNEL / 2;
    if (row < 0 || !is_kept || output >= ld)
        return 0;
    return __bfloat16_as_ushort(__float2bfloat16_rn(op.prepared[(size_t)row * ld + output]));
}

struct stem_moments {
    float origin[STEM_QUAD], first[STEM_QUAD], second[STEM_QUAD];
    int count;

    __device__ __forceinline__ void add(const uint2 &stored) {
        float value[STEM_QUAD] = {
            __uint_as_float(stored.x << 16), __uint_as_float(stored.x & 0xffff0000u),
            __uint_as_float(stored.y << 16), __uint_as_float(stored.y & 0xffff0000u)};
#pragma unroll
        for (int c = 0; c < STEM_QUAD; c++) {
            if (count == 0)
                origin[c] = value[c];
            float deviation = value[c] - origin[c];
            first[c] += deviation;
            second[c] = fmaf(deviation, deviation, second[c]);
        }
        count++;
    }
};

/* Means and squared deviations of several channels over the same pixels. */
template <int CHANNELS> struct spread_of {
    float count, mean[CHANNELS], square[CHANNELS];

    __device__ __forceinline__ void add(const struct spread_of &other) {
        float sum = count + other.count, share = other.count > 0.0f ? other.count / sum : 0.0f;
#pragma unroll
        for (int c = 0; c < CHANNELS; c++) {
            float apart = other.mean[c] - mean[c];
            mean[c] += apart * share;
            square[c] += other.square[c] + apart * apart * count * share;
        }
        count = sum;
    }
};

/* All lanes' moments to the part's: first those of a warp's pixels, then warp by warp. */
__device__ void leave_stem_moments(const struct forward &op, const struct segment &segment,
                                   int kept, const struct stem_moments &moments) {
    __shared__ struct spread_of<1> warps[STEM_WARPS][STEM_CHUNK];
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    struct spread_of<STEM_QUAD> spread;
    spread.count = (float)moments.count;
#pragma unroll
    for (int c = 0; c < STEM_QUAD; c++) {
        float shift = moments.count > 0 ? moments.first[c] / spread.count : 0.0f;
        spread.mean[c] = moments.origin[c] + shift;
        spread.square[c] = fmaxf(moments.second[c] - moments.first[c] * shift, 0.0f);
    }
#pragma unroll
    for (int away = WARP / 2; away >= STEM_QUAD; away /= 2) {
        struct spread_of<STEM_QUAD> other;
        other.count = __shfl_xor_sync(0xffffffffu, spread.count, away);
#pragma unroll
        for (int c = 0; c < STEM_QUAD; c++) {
            other.mean[c] = __shfl_xor_sync(0xffffffffu, spread.mean[c], away);
            other.square[c] = __shfl_xor_sync(0xffffffffu, spread.square[c], away);
        }
        spread.add(other);
    }
#pragma unroll
    for (int c = 0; c < STEM_QUAD; c++)
        if (lane < STEM_QUAD)
            warps[warp][lane * STEM_QUAD + c] = {
                spread.count, {spread.mean[c]}, {spread.square[c]}};
    __syncthreads();
    int c = (int)threadIdx.x, part = (int)blockIdx.y, channel = (int)blockIdx.x * STEM_CHUNK + c;
    if (c >= STEM_CHUNK)
        return;
    struct spread_of<1> all = warps[0][c];
    for (int w = 1; w < STEM_WARPS; w++)
        all.add(warps[w][c]);
    if (channel == 0)
        *op.sums.count_at(segment, part) = all.count;
    if (all.count > 0.0f && channel < kept) {
        op.sums.at(segment, part, 0)[channel] = all.mean[0];
        op.sums.at(segment, part, 1)[channel] = all.square[0];
    }
}

/* What a lane multiplies with: its columns of the weights, and its pairs of a pixel. */
struct stem_operands {
    right_fragment weights[2][2]; /* [depth][half of a lane's outputs] */
    int pair_at[2][2];
    float bias[STEM_QUAD];
};

__device__ __forceinline__ void load_operands(struct stem_operands &operands,
                                              const struct forward &op,
                                              const struct segment &segment, int kept,
                                              const struct stem_cut &cut) {
    int lane = (int)threadIdx.x % WARP, begin = (int)blockIdx.x * STEM_CHUNK, n = lane / 4;
    int taps = op.kernels[segment.group];
#pragma unroll
    for (int k = 0; k < 2; k++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int pair = k * 8 + h * 4 + lane % 4;
            operands.pair_at[k][h] = stem_pair_at(pair, cut);
#pragma unroll
            for (int t = 0; t < 2; t++) {
                int o = begin + n / 2 * STEM_QUAD + t * 2 + n % 2;
                operands.weights[k][t][h] = stem_weight(op, taps, stem_matrix_row(pair, 0), o) |
                                            stem_weight(op, taps, stem_matrix_row(pair, 1), o)
                                                << 16;
            }
        }
    int first = begin + lane % 4 * STEM_QUAD;
#pragma unroll
    for (int c = 0; c < STEM_QUAD; c++)
        operands.bias[c] = op.bias != NULL && first + c < kept ? op.bias[first + c] : 0.0f;
}

/* The lane's outputs of pixels l / 4 and l / 4 + 8 of a tile. from: the pairs of pixel l / 4. */
__device__ __forceinline__ void stem_tile(const struct stem_operands &operands,
                                          const unsigned *from, uint2 (&stored)[2]) {
    sum_fragment sums[2];
#pragma unroll
    for (int t = 0; t < 2; t++)
#pragma unroll
        for (int s = 0; s < 4; s++)
            sums[t][s] = operands.bias[t * 2 + s % 2];
#pragma unroll
    for (int k = 0; k < 2; k++) {
        left_fragment pixels;
#pragma unroll
        for (int s = 0; s < 4; s++)
            pixels[s] =
                from[operands.pair_at[k][s / 2] + s % 2 * (8 * STEM_STRIDE * STEM_INPUTS / 2)];
        multiply_add(sums[0], pixels, operands.weights[k][0]);
        multiply_add(sums[1], pixels, operands.weights[k][1]);
    }
#pragma unroll
    for (int s = 0; s < 2; s++)
        stored[s] = make_uint2(pack_bf16(sums[0][2 * s], sums[0][2 * s + 1]),
                               pack_bf16(sums[1][2 * s], sums[1][2 * s + 1]));
}

__global__ void __launch_bounds__(STEM_THREADS, 4)
    stem_forward(const struct forward op, const struct stem_cut cut) {
    DYNAMIC_SHARED(bf16, shared);
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &output = op.output;
    int kept = output.kept[segment.group], ld = tensor_ld(&output, &segment);
    if (kept == 0 && op.sums.parts > 0 && blockIdx.x == 0 && threadIdx.x == 0)
        *op.sums.count_at(segment, (int)blockIdx.y) = 0.0f;
    if ((int)blockIdx.x * STEM_CHUNK >= kept)
        return;
    struct stem_rows rows = stem_rows_of(op.input.z, segment, shared, op.parts, cut);
    rows.stage(rows.unit, cut);
    struct stem_operands operands;
    load_operands(operands, op, segment, kept, cut);

    int lane = (int)threadIdx.x % WARP, y = (int)threadIdx.x / WARP;
    int first = (int)blockIdx.x * STEM_CHUNK + lane % 4 * STEM_QUAD;
    bf16 *to = segment_data<bf16>(output, segment) + first;
    struct stem_moments moments = {};
#pragma unroll 1
    for (; rows.unit < rows.end; rows.unit++) {
        struct stem_place place = stem_place_of(rows.unit, cut);
        const unsigned *from = stem_pairs(rows.get(cut), y, cut);
        bool exists = y < cut.rows && place.top + y < output.height;
        size_t row = ((size_t)place.image * output.height + place.top + y) * output.width;
#pragma unroll 1
        for (int x = lane / 4; exists && x < cut.tiles * STEM_TILE; x += STEM_TILE) {
            uint2 stored[2];
            stem_tile(operands, from + x * (STEM_STRIDE * STEM_INPUTS / 2), stored);
#pragma unroll
            for (int s = 0; s < 2; s++) {
                if (x + 8 * s >= output.width || first >= kept)
                    continue;
                *reinterpret_cast<uint2 *>(to + (row + x + 8 * s) * ld) = stored[s];
                moments.add(stored[s]);
            }
        }
        __syncthreads();
    }
    if (op.sums.parts > 0)
        leave_stem_moments(op, segment, kept, moments);
}

template <class T>
void launch(const struct forward &op, const struct convolution *convolution, dim3 grid) {
    if (!is_stem(convolution)) {
        LAUNCH((dense_forward<T, false>), grid, THREADS, 0, cuda_stream(), op);
        return;
    }
    if constexpr (sizeof(T) == sizeof(bf16)) {
        struct stem_cut cut = stem_cut_of(convolution);
        if (cut.rows > 0) {
            LAUNCH(stem_forward, grid, STEM_THREADS, stem_shared(cut), cuda_stream(), op, cut);
            return;
        }
    }
    LAUNCH((dense_forward<T, true>), grid, THREADS, 0, cuda_stream(), op);
}

} /* namespace */

template <class T> size_t cuda_dense_prepared_size(const struct convolution *convolution) {
    return (size_t)convolution->kernel * convolution->kernel * convolution->input.tensor->channels *
           weight_ld(convolution->output.channels);
}

/* [tap][in][out lanes] */
template <class T>
int cuda_dense_layouts(const struct convolution *convolution, struct weight_layout *layouts) {
    int taps = convolution->kernel * convolution->kernel;
    int inputs = convolution->input.tensor->channels, outputs = convolution->output.channels;
    struct weight_layout layout = {};
    layout.from = convolution->weight, layout.to = convolution->prepared;
    layout.rows = taps * inputs, layout.columns = outputs, layout.ld = weight_ld(outputs);
    layout.inner = inputs, layout.outer_step = 1, layout.inner_step = taps;
    layout.column_step = inputs * taps;
    layouts[0] = layout;
    return 1;
}

template <class T>
enum status cuda_dense_forward(const struct convolution *convolution, const struct slice *slice) {
    enum { BLOCKS = 528 };
    struct forward op = {};
    if (slice->count == 0)
        return STATUS_OK;
    op.input = device_view_of(&convolution->input);
    op.output = convolution->output;
    op.sums = partial_sums_of(convolution->norm);
    op.prepared = convolution->prepared, op.bias = convolution->bias;
    op.kernels = convolution->kernels, op.segments = slice->device_segments;
    op.kernel = convolution->kernel, op.stride = convolution->stride;
    op.parts = op.sums.parts > 0 ? op.sums.parts : pieces(BLOCKS, slice->count);
    static_assert(CHUNK == STEM_CHUNK, "one grid serves both kernels");
    dim3 grid(pieces(op.output.channels, CHUNK), op.parts, slice->count);
    launch<T>(op, convolution, grid);
    return cuda_launched("dense_forward");
}

#define INSTANCES(T)                                                                               \
    template size_t cuda_dense_prepared_size<T>(const struct convolution *);                       \
    template int cuda_dense_layouts<T>(const struct convolution *, struct weight_layout *);        \
    template enum status cuda_dense_forward<T>(const struct convolution *, const struct slice *);
INSTANCES(float)
INSTANCES(bf16)
