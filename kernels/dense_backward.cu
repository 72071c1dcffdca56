/* Dense k x k convolution (the stem), backward. The weights' gradient is a matrix, [tap][in] rows
 * (and one for the bias) of outputs; blocks leave partial matrices, which are then added up. */
#include "stem.cuh"

namespace {

constexpr int THREADS = 128, QUAD = 4 /* outputs of a thread of the stem */,
              CHUNK = 4 * QUAD /* outputs of a block of the stem */,
              INPUTS = WARP /* input channels of a block of the input's gradient */,
              WORKING_BLOCKS = 528;

struct backward {
    struct device_view input;
    struct view_gradient gradient;
    struct tensor output, output_gradient;
    struct norm_view norm; /* of the output */
    const float *weight;
    const int *kernels;
    const struct segment *segments;
    float *partial; /* [segment][part][row][output] */
    int kernel, stride;
    int parts; /* with pixels, of a segment of the output */
    int rows;  /* taps * inputs, and 1 for the bias */
};

static __device__ __forceinline__ float *partial_at(const struct backward &op, int segment,
                                                    int part, int row) {
    return op.partial + ((size_t)(segment * op.parts + part) * op.rows + row) * op.output.channels;
}

/* ------------------------------------------------------------------ weights */

/* Threads are outputs in fours times pixels; each sums a whole STEM_ROWS x QUAD matrix. */
struct stem_sums {
    float at[STEM_ROWS][QUAD];
};

template <class T>
__device__ __forceinline__ void add_stem_pixel(const struct backward &op, const T *image, int y,
                                               int x, const float (&dz)[QUAD],
                                               struct stem_sums *sums) {
    int height = op.input.z.height, width = op.input.z.width, left = STEM_STRIDE * x - 1;
    constexpr int RUN = STEM_KERNEL * STEM_INPUTS;
#pragma unroll
    for (int ky = 0; ky < STEM_KERNEL; ky++) {
        int row = STEM_STRIDE * y + ky - 1;
        if (row < 0 || row >= height)
            continue;
        const T *from = image + (ptrdiff_t)(row * width + left) * STEM_INPUTS;
        float a[RUN];
#pragma unroll
        for (int n = 0; n < RUN; n++) {
            bool exists = (unsigned)(left + n / STEM_INPUTS) < (unsigned)width;
            a[n] = exists ? to_float(from[n]) : 0.0f;
        }
#pragma unroll
        for (int n = 0; n < RUN; n++)
#pragma unroll
            for (int c = 0; c < QUAD; c++)
                sums->at[ky * RUN + n][c] = fmaf(a[n], dz[c], sums->at[ky * RUN + n][c]);
    }
}

__device__ __forceinline__ void leave_stem_sums(const struct backward &op,
                                                const struct stem_sums &sums, int kept) {
    constexpr int LANES_OF_A_PIXEL = CHUNK / QUAD, WARPS = THREADS / WARP;
    __shared__ float shared[WARPS][STEM_ROWS][CHUNK];
    int lane = (int)threadIdx.x % LANES_OF_A_PIXEL, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int row = 0; row < STEM_ROWS; row++)
#pragma unroll
        for (int c = 0; c < QUAD; c++) {
            float sum = sums.at[row][c];
            for (int apart = LANES_OF_A_PIXEL; apart < WARP; apart *= 2)
                sum += __shfl_xor_sync(0xffffffffu, sum, apart);
            if ((int)threadIdx.x % WARP < LANES_OF_A_PIXEL)
                shared[warp][row][lane * QUAD + c] = sum;
        }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < STEM_ROWS * CHUNK; i += THREADS) {
        int row = i / CHUNK, o = (int)blockIdx.x * CHUNK + i % CHUNK;
        float sum = 0.0f;
        for (int w = 0; w < WARPS; w++)
            sum += shared[w][row][i % CHUNK];
        if (o < kept)
            partial_at(op, (int)blockIdx.z, (int)blockIdx.y, row)[o] = sum;
    }
}

__device__ __forceinline__ void load_quad(float (&into)[QUAD], const float *from) {
    float4 raw = *reinterpret_cast<const float4 *>(from);
    into[0] = raw.x, into[1] = raw.y, into[2] = raw.z, into[3] = raw.w;
}
__device__ __forceinline__ void load_quad(float (&into)[QUAD], const bf16 *from) {
    uint2 raw = *reinterpret_cast<const uint2 *>(from);
    into[0] = __uint_as_float(raw.x << 16), into[1] = __uint_as_float(raw.x & 0xffff0000u);
    into[2] = __uint_as_float(raw.y << 16), into[3] = __uint_as_float(raw.y & 0xffff0000u);
}

/* The rows of the output's batch-norm at a thread's outputs. */
struct __align__(16) grad_quad {
    float y[QUAD], z[QUAD], one[QUAD];
};

static __device__ __forceinline__ void load_grad_quad(struct grad_quad &grad,
                                                      const struct norm_view &norm,
                                                      const struct segment &segment, int first,
                                                      int kept) {
#pragma unroll
    for (int c = 0; c < QUAD; c++) {
        bool has_norm = norm.scale != NULL && first + c < kept;
        size_t row = norm.row(segment) + first + c;
        grad.y[c] = has_norm ? norm.grad_y[row] : 1.0f;
        grad.z[c] = has_norm ? norm.grad_z[row] : 0.0f;
        grad.one[c] = has_norm ? norm.grad_one[row] : 0.0f;
    }
}

/* Outputs behind the kept ones get sums of anything, which nobody reads. */
template <class T>
__device__ __forceinline__ void stem_dz(const struct backward &op, const T *dy, const T *z,
                                        const struct grad_quad &grad, float (&dz)[QUAD]) {
    load_quad(dz, dy);
    if (op.norm.scale == NULL)
        return;
    float value[QUAD];
    load_quad(value, z);
#pragma unroll
    for (int c = 0; c < QUAD; c++)
        dz[c] = fmaf(grad.y[c], dz[c], fmaf(grad.z[c], value[c], grad.one[c]));
}

template <class T>
__global__ void __launch_bounds__(THREADS, 3) stem_weights(const struct backward op) {
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &output = op.output;
    int kept = output.kept[segment.group];
    if ((int)blockIdx.x * CHUNK >= kept)
        return;
    int lane = (int)threadIdx.x % (CHUNK / QUAD), first = (int)blockIdx.x * CHUNK + lane * QUAD;
    int ld_z = tensor_ld(&output, &segment), ld_dy = tensor_ld(&op.output_gradient, &segment);
    struct grad_quad grad;
    load_grad_quad(grad, op.norm, segment, first, kept);
    const T *z = segment_data<T>(output, segment) + first;
    const T *dy = segment_data<T>(op.output_gradient, segment) + first;
    const T *pictures = segment_data<T>(op.input.z, segment);
    int picture = op.input.z.height * op.input.z.width * STEM_INPUTS;
    int area = output.height * output.width, part = (int)blockIdx.y;
    int end = piece_begin(segment.images * area, part + 1, op.parts);
    int pixel =
        piece_begin(segment.images * area, part, op.parts) + (int)threadIdx.x / (CHUNK / QUAD);
    struct stem_sums sums = {};
#pragma unroll 1
    for (; pixel < end && first < kept; pixel += THREADS / (CHUNK / QUAD)) {
        float dz[QUAD];
        stem_dz<T>(op, dy + (size_t)pixel * ld_dy, z + (size_t)pixel * ld_z, grad, dz);
        int image = pixel / area, rest = pixel - image * area, y = rest / output.width;
        add_stem_pixel<T>(op, pictures + (size_t)image * picture, y, rest - y * output.width, dz,
                          &sums);
    }
    leave_stem_sums(op, sums, kept);
}

/* The stem's on tensor cores: outputs x pixels of dz, times pixels x pairs of the pictures. */
constexpr int TILE_PITCH = STEM_CHUNK + LANES /* elements of a pixel of dz: no two in one bank */;

/* A lane's share of a tile: QUAD outputs of pixels lane / 4 and lane / 4 + 8. */
struct raw_dz {
    uint2 dy[2], z[2];
};

struct tile_of_dz {
    const bf16 *dy, *z; /* of the segment, at the lane's first output */
    int ld_dy, ld_z;

    /* pixel: of the row that begins at pixel `row` and has `width` */
    __device__ __forceinline__ void load(struct raw_dz &raw, size_t row, int pixel,
                                         int width) const {
#pragma unroll
        for (int i = 0; i < 2; i++)
            if (pixel + 8 * i < width) {
                size_t at = row + pixel + 8 * i;
                raw.dy[i] = *reinterpret_cast<const uint2 *>(dy + at * ld_dy);
                raw.z[i] = *reinterpret_cast<const uint2 *>(z + at * ld_z);
            }
    }
};

static __device__ __forceinline__ unsigned dz_pair(unsigned dy, unsigned z, const float *grad_y,
                                                   const float *grad_z, const float *grad_one) {
    float low = fmaf(grad_z[0], __uint_as_float(z << 16), grad_one[0]);
    float high = fmaf(grad_z[1], __uint_as_float(z & 0xffff0000u), grad_one[1]);
    return pack_bf16(fmaf(grad_y[0], __uint_as_float(dy << 16), low),
                     fmaf(grad_y[1], __uint_as_float(dy & 0xffff0000u), high));
}

/* Into the tile, [pixel][output]; zero where there are none. */
static __device__ __forceinline__ void put_dz(bf16 *tile, const struct raw_dz &raw,
                                              const struct grad_quad &grad, int pixel, int width) {
    int lane = (int)threadIdx.x % WARP;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        uint2 dz = make_uint2(0, 0);
        if (pixel + 8 * i < width)
            dz = make_uint2(dz_pair(raw.dy[i].x, raw.z[i].x, grad.y, grad.z, grad.one),
                            dz_pair(raw.dy[i].y, raw.z[i].y, grad.y + 2, grad.z + 2, grad.one + 2));
        *reinterpret_cast<uint2 *>(tile + (lane / 4 + 8 * i) * TILE_PITCH + lane % 4 * QUAD) = dz;
    }
}

/* Sums of one warp: [pairs 0-7, 8-15][element of the pair]. */
typedef sum_fragment stem_fragments[2][2];

/* A tile of dz, [pixel][output], times the pictures' pixels under it. */
static __device__ __forceinline__ void add_tile(const bf16 *tile, const unsigned *pixels,
                                                const int (&pair_at)[2], stem_fragments &sums) {
    constexpr int STEP = STEM_STRIDE * STEM_INPUTS / 2; /* words from pixel to pixel */
    int lane = (int)threadIdx.x % WARP;
    left_fragment dz;
    load_transposed(dz, tile + (lane / 16 * 8 + lane % 8) * TILE_PITCH + lane / 8 % 2 * 8);
#pragma unroll
    for (int g = 0; g < 2; g++) {
        right_fragment even, odd;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const unsigned *from = pixels + pair_at[g] + (lane % 4 * 2 + h * 8) * STEP;
            unsigned one = from[0], next = from[STEP];
            even[h] = (one & 0xffffu) | next << 16;
            odd[h] = one >> 16 | (next & 0xffff0000u);
        }
        multiply_add(sums[g][0], dz, even);
        multiply_add(sums[g][1], dz, odd);
    }
}

typedef float stem_shares[STEM_WARPS][STEM_ROWS][STEM_CHUNK];

/* room: where the copies of the picture's rows were. */
static __device__ __forceinline__ void leave_fragments(const struct backward &op, bf16 *room,
                                                       const stem_fragments &sums, int kept) {
    stem_shares &shared = *reinterpret_cast<stem_shares *>(room);
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int g = 0; g < 2; g++)
#pragma unroll
        for (int e = 0; e < 2; e++)
#pragma unroll
            for (int s = 0; s < 4; s++) {
                int row = stem_matrix_row(g * 8 + lane % 4 * 2 + s % 2, e);
                if (row >= 0)
                    shared[warp][row][lane / 4 + s / 2 * 8] = sums[g][e][s];
            }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < STEM_ROWS * STEM_CHUNK; i += STEM_THREADS) {
        int row = i / STEM_CHUNK, o = (int)blockIdx.x * STEM_CHUNK + i % STEM_CHUNK;
        float sum = 0.0f;
        for (int w = 0; w < STEM_WARPS; w++)
            sum += shared[w][row][i % STEM_CHUNK];
        if (o < kept)
            partial_at(op, (int)blockIdx.z, (int)blockIdx.y, row)[o] = sum;
    }
}

__global__ void __launch_bounds__(STEM_THREADS, 4)
    stem_tensor_weights(const struct backward op, const struct stem_cut cut) {
    DYNAMIC_SHARED(bf16, shared);
    __shared__ __align__(16) bf16 tiles_of_dz[STEM_WARPS][STEM_TILE * TILE_PITCH];
    __shared__ struct grad_quad grads[STEM_CHUNK / QUAD]; /* registers are scarce */
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &output = op.output;
    int kept = output.kept[segment.group];
    if ((int)blockIdx.x * STEM_CHUNK >= kept)
        return;
    struct stem_rows rows = stem_rows_of(op.input.z, segment, shared, op.parts, cut);
    rows.stage(rows.unit, cut);
    int lane = (int)threadIdx.x % WARP, y = (int)threadIdx.x / WARP;
    int first = (int)blockIdx.x * STEM_CHUNK + lane % 4 * QUAD;
    if ((int)threadIdx.x < STEM_CHUNK / QUAD)
        load_grad_quad(grads[threadIdx.x], op.norm, segment, first, kept);
    struct tile_of_dz share = {};
    share.dy = segment_data<bf16>(op.output_gradient, segment) + first;
    share.z = op.norm.scale != NULL ? segment_data<bf16>(output, segment) + first : share.dy;
    share.ld_dy = tensor_ld(&op.output_gradient, &segment);
    share.ld_z = op.norm.scale != NULL ? tensor_ld(&output, &segment) : share.ld_dy;
    int pair_at[2] = {stem_pair_at(lane / 4, cut), stem_pair_at(8 + lane / 4, cut)};

    bf16 *tile = tiles_of_dz[y];
    stem_fragments sums = {};
#pragma unroll 1
    for (; rows.unit < rows.end; rows.unit++) {
        struct stem_place place = stem_place_of(rows.unit, cut);
        bool exists = y < cut.rows && place.top + y < output.height;
        int width = exists && first < kept ? output.width : 0; /* of the lane's dz */
        size_t row = ((size_t)place.image * output.height + place.top + y) * output.width;
        struct raw_dz raw = {};
        share.load(raw, row, lane / 4, width);
        const unsigned *from = stem_pairs(rows.get(cut), y, cut);
#pragma unroll 1
        for (int x = 0; exists && x < output.width; x += STEM_TILE) {
            put_dz(tile, raw, grads[lane % 4], x + lane / 4, width);
            share.load(raw, row, x + STEM_TILE + lane / 4, width);
            __syncwarp();
            add_tile(tile, from + x * (STEM_STRIDE * STEM_INPUTS / 2), pair_at, sums);
            __syncwarp();
        }
        __syncthreads();
    }
    leave_fragments(op, shared, sums, kept);
}

/* A thread an element of the matrix. */
template <class T>
__global__ void __launch_bounds__(THREADS) any_weights(const struct backward op) {
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &input = op.input.z, &output = op.output;
    int kept = op.kernels[segment.group], taps = op.kernel * op.kernel;
    int element = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    int o = element % output.channels, row = element / output.channels;
    int i = row % input.channels, tap = row / input.channels;
    int up = tap / op.kernel - op.kernel / 2, right = tap % op.kernel - op.kernel / 2;
    if (row >= op.rows || o >= output.kept[segment.group])
        return;
    if (tap < taps &&
        (i >= input.kept[segment.group] || abs(up) > kept / 2 || abs(right) > kept / 2))
        return;
    int area = output.height * output.width, part = (int)blockIdx.y;
    int end = piece_begin(segment.images * area, part + 1, op.parts);
    float sum = 0.0f;
    for (int p = piece_begin(segment.images * area, part, op.parts); p < end; p++) {
        float dz = dz_at<T>(output, op.output_gradient, op.norm, segment, p, o), a = 1.0f;
        if (tap < taps) {
            int y = p % area / output.width * op.stride + up;
            int x = p % output.width * op.stride + right;
            if (y < 0 || y >= input.height || x < 0 || x >= input.width)
                continue;
            int pixel = (p / area * input.height + y) * input.width + x;
            a = seen_at<T>(op.input, segment, pixel, i);
        }
        sum = fmaf(a, dz, sum);
    }
    partial_at(op, (int)blockIdx.z, part, row)[o] = sum;
}

enum { SUMMERS = 32 /* threads that share the partials of an element */ };

/* Whether a segment has left an element of a row: it may have kept fewer taps or channels. */
__device__ __forceinline__ bool has_partial(const struct backward &op, int segment, int row,
                                            int o) {
    int taps = op.kernel * op.kernel, inputs = op.input.z.channels, tap = row / inputs;
    int up = abs(tap / op.kernel - op.kernel / 2), right = abs(tap % op.kernel - op.kernel / 2);
    int group = op.segments[segment].group;
    bool is_kept = tap == taps || (row % inputs < op.input.z.kept[group] &&
                                   max(up, right) <= op.kernels[group] / 2);
    return is_kept && o < op.output.kept[group];
}

/* WARP neighbouring elements of the matrix a block: all segments' partials that exist, in fixed
 * order. What does not exist is loaded all the same, not to wait for whether it does. */
__global__ void __launch_bounds__(WARP *SUMMERS)
    add_partials(const struct backward op, int segments, float *weight, float *bias) {
    __shared__ float shared[SUMMERS][WARP];
    int outputs = op.output.channels, element = (int)(blockIdx.x * WARP + threadIdx.x);
    int row = element / outputs, o = element % outputs;
    float sum = 0.0f;
    if (row < op.rows)
#pragma unroll 8
        for (int n = (int)threadIdx.y; n < segments * op.parts; n += SUMMERS) {
            int segment = n / op.parts;
            float partial = partial_at(op, segment, n - segment * op.parts, row)[o];
            sum += has_partial(op, segment, row, o) ? partial : 0.0f;
        }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || row >= op.rows)
        return;
#pragma unroll
    for (int n = 1; n < SUMMERS; n++)
        sum += shared[n][threadIdx.x];
    int inputs = op.input.z.channels, taps = op.kernel * op.kernel, tap = row / inputs;
    size_t at = ((size_t)o * inputs + row % inputs) * taps + tap;
    *(tap == taps ? bias + o : weight + at) += sum;
}

/* ------------------------------------------------------------------ input */

/* d loss / d a of one element. */
template <class T>
__device__ float input_gradient(const struct backward &op, const struct segment &segment, int pixel,
                                int channel) {
    const struct tensor &input = op.input.z, &output = op.output;
    int kept = op.kernels[segment.group], outputs = output.kept[segment.group];
    int taps = op.kernel * op.kernel, area = input.height * input.width;
    int image = pixel / area, y = pixel % area / input.width, x = pixel % input.width;
    float sum = 0.0f;
    for (int t = 0; t < kept * kept; t++) {
        int up = t / kept - kept / 2, right = t % kept - kept / 2;
        int row = y - up, column = x - right;
        if (row < 0 || column < 0 || row % op.stride != 0 || column % op.stride != 0)
            continue;
        row /= op.stride, column /= op.stride;
        if (row >= output.height || column >= output.width)
            continue;
        int from = (image * output.height + row) * output.width + column;
        int tap = (op.kernel / 2 + up) * op.kernel + op.kernel / 2 + right;
        for (int o = 0; o < outputs; o++)
            sum = fmaf(op.weight[((size_t)o * input.channels + channel) * taps + tap],
                       dz_at<T>(output, op.output_gradient, op.norm, segment, from, o), sum);
    }
    return sum;
}

/* Through the view, to memory. Returns what was stored. */
template <class T>
__device__ float leave_gradient(const struct backward &op, const struct segment &segment, int pixel,
                                int channel, float da, float z) {
    const struct norm_view &norm = op.input.norm;
    size_t row = norm.row(segment) + channel;
    if (op.gradient.through) {
        float y = norm.scale != NULL ? fmaf(norm.scale[row], z, norm.shift[row]) : z;
        da *= activation_slope(op.input.activation, y);
    }
    T *to = segment_data<T>(op.gradient.tensor, segment) +
            (size_t)pixel * tensor_ld(&op.gradient.tensor, &segment) + channel;
    *to = from_float<T>(op.gradient.accumulate ? to_float(*to) + da : da);
    return to_float(*to);
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    dense_input_gradient(const struct backward op, int parts) {
    __shared__ float sums[THREADS / INPUTS][INPUTS], products[THREADS / INPUTS][INPUTS];
    const struct segment segment = op.segments[blockIdx.z];
    const struct tensor &input = op.input.z;
    const struct partial_sums &partial = op.gradient.sums;
    int kept = input.kept[segment.group], part = (int)blockIdx.y;
    int lane = (int)threadIdx.x % INPUTS, strip = (int)threadIdx.x / INPUTS;
    int channel = (int)blockIdx.x * INPUTS + lane;
    int all = op.output.kept[segment.group] == 0 ? 0 : segment.images * input.height * input.width;
    int begin = piece_begin(all, part, parts), end = piece_begin(all, part + 1, parts);
    float sum = 0.0f, product = 0.0f;
    for (int p = begin + strip; p < end && channel < kept; p += THREADS / INPUTS) {
        size_t at = (size_t)p * tensor_ld(&input, &segment) + channel;
        float z = to_float(segment_data<T>(input, segment)[at]);
        float da = input_gradient<T>(op, segment, p, channel);
        float dy = leave_gradient<T>(op, segment, p, channel, da, z);
        sum += dy;
        if (partial.parts > 0)
            product =
                fmaf(dy, z - op.input.norm.mean[op.input.norm.row(segment) + channel], product);
    }
    if (partial.parts == 0)
        return;
    sums[strip][lane] = sum, products[strip][lane] = product;
    __syncthreads();
    if (channel == 0 && strip == 0)
        *partial.count_at(segment, part) = (float)(end - begin);
    if (strip != 0 || channel >= kept || end == begin)
        return;
    for (int s = 1; s < THREADS / INPUTS; s++)
        sum += sums[s][lane], product += products[s][lane];
    partial.at(segment, part, 0)[channel] = sum;
    partial.at(segment, part, 1)[channel] = product;
}

static size_t partial_bytes(const struct convolution *convolution) { /* of one part */
    size_t rows =
        (size_t)convolution->kernel * convolution->kernel * convolution->input.tensor->channels + 1;
    return rows * convolution->output.channels * sizeof(float);
}

/* Partials in scratch, of all segments that are done at a time. */
static int partials(const struct convolution *convolution) {
    enum { BYTES = 16 << 20 };
    size_t room = BYTES / partial_bytes(convolution);
    return room > WORKING_BLOCKS ? (int)WORKING_BLOCKS : room > 1 ? (int)room : 1;
}

template <class T>
void launch_weights(const struct backward &op, const struct convolution *convolution, int count) {
    dim3 elements(pieces((size_t)op.rows * op.output.channels, THREADS), op.parts, count);
    dim3 chunks(pieces(op.output.channels, CHUNK), op.parts, count);
    if (!is_stem(convolution) || convolution->bias != NULL) {
        LAUNCH(any_weights<T>, elements, THREADS, 0, cuda_stream(), op);
        return;
    }
    if constexpr (sizeof(T) == sizeof(bf16)) {
        struct stem_cut cut = stem_cut_of(convolution);
        if (cut.rows > 0) {
            size_t shared = stem_shared(cut);
            shared = shared > sizeof(stem_shares) ? shared : sizeof(stem_shares);
            LAUNCH(stem_tensor_weights, chunks, STEM_THREADS, shared, cuda_stream(), op, cut);
            return;
        }
    }
    LAUNCH(stem_weights<T>, chunks, THREADS, 0, cuda_stream(), op);
}

template <class T>
void add_weight_gradients(struct backward op, const struct convolution *convolution,
                          const struct slice *slice) {
    int room = partials(convolution);
    for (int first = 0; first < slice->count; first += room) {
        int count = slice->count - first < room ? slice->count - first : room;
        op.segments = slice->device_segments + first;
        op.parts = room / count;
        launch_weights<T>(op, convolution, count);
        LAUNCH(add_partials, pieces((size_t)op.rows * op.output.channels, WARP),
               dim3(WARP, SUMMERS), 0, cuda_stream(), op, count,
               slice->gradient + convolution->weight_offset,
               slice->gradient + convolution->bias_offset);
    }
}

} /* namespace */

template <class T> size_t cuda_dense_scratch(const struct convolution *convolution) {
    return partials(convolution) * partial_bytes(convolution);
}

template <class T>
enum status cuda_dense_backward(const struct convolution *convolution, const struct slice *slice) {
    struct backward op = {};
    if (slice->count == 0)
        return STATUS_OK;
    op.input = device_view_of(&convolution->input);
    op.gradient = view_gradient_of(&convolution->input);
    op.output = convolution->output, op.output_gradient = *convolution->output_gradient;
    op.norm = norm_view_of(convolution->norm);
    op.weight = convolution->weight;
    op.kernels = convolution->kernels, op.segments = slice->device_segments;
    op.partial = (float *)slice->scratch;
    op.kernel = convolution->kernel, op.stride = convolution->stride;
    op.rows = op.kernel * op.kernel * op.input.z.channels + (convolution->bias != NULL);
    add_weight_gradients<T>(op, convolution, slice);
    if (op.gradient.tensor.data != NULL) {
        int parts = op.gradient.sums.parts > 0 ? op.gradient.sums.parts
                                               : pieces(WORKING_BLOCKS, slice->count);
        LAUNCH(dense_input_gradient<T>,
               dim3(pieces(op.input.z.channels, INPUTS), parts, slice->count), THREADS, 0,
               cuda_stream(), op, parts);
    }
    return cuda_launched("dense_backward");
}

#define INSTANCES(T)                                                                               \
    template size_t cuda_dense_scratch<T>(const struct convolution *);                             \
    template enum status cuda_dense_backward<T>(const struct convolution *, const struct slice *);
INSTANCES(float)
INSTANCES(bf16)
