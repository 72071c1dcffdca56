/* The gradient of a product's weights, dW[out][in] = sum over rows of dz^T a.
 *
 * Rows are split: the segments, each cut into pieces, are units; split s is a run of units. A split
 * leaves its sum in scratch [split][out][in], for the tiles that one of its segments keeps; a
 * second kernel adds the splits in their order, skipping those that keep nothing of an element.
 */
#ifndef TAPER_WEIGHT_GRADIENT_CUH
#define TAPER_WEIGHT_GRADIENT_CUH

#include "product.cuh"
#include "product_plain.cuh"

constexpr int WEIGHT_TILE = 64;             /* of either side */
constexpr int WEIGHT_BLOCKS = 1056;         /* that keep the device busy */
constexpr size_t WEIGHT_SCRATCH = 48 << 20; /* bytes */
constexpr int ADD_COLUMNS = 32;             /* elements of a block that adds splits */

struct weight_plan {
    int segments, pieces, splits;
    int outputs, inputs; /* full */
    int tiles;

    __device__ int first_unit(int split) const {
        return piece_begin(segments * pieces, split, splits);
    }
};

/* Tiles of outs x ins. */
static inline struct weight_plan weight_plan_of(const struct convolution *convolution,
                                                const struct slice *slice, int outs, int ins) {
    const struct tensor *input = convolution->input.tensor;
    struct weight_plan plan = {};
    plan.segments = slice->count;
    plan.outputs = convolution->output.channels, plan.inputs = input->channels;
    plan.tiles = pieces(plan.outputs, outs) * pieces(plan.inputs, ins);
    size_t most = WEIGHT_SCRATCH / ((size_t)plan.outputs * plan.inputs * sizeof(float));
    int wanted = pieces(WEIGHT_BLOCKS, plan.tiles);
    wanted = (size_t)wanted > most ? (int)most : wanted;
    wanted = wanted > 0 ? wanted : 1;
    int rows = largest_segment(slice) * input->height * input->width;
    plan.pieces = pieces(wanted, slice->count);
    if (plan.pieces > pieces(rows, WEIGHT_TILE))
        plan.pieces = pieces(rows, WEIGHT_TILE);
    int units = plan.pieces * slice->count;
    plan.splits = (size_t)units > most ? (int)most : units;
    plan.splits = plan.splits > 0 ? plan.splits : 1;
    return plan;
}

/* One matrix at the least. */
static inline size_t weight_scratch(const struct convolution *convolution) {
    size_t matrix =
        (size_t)convolution->output.channels * convolution->input.tensor->channels * sizeof(float);
    return matrix > WEIGHT_SCRATCH ? matrix : WEIGHT_SCRATCH;
}

/* Whether one of the split's segments keeps the element; nothing of a tile is kept if its first
 * element is not. */
static __device__ __forceinline__ bool split_keeps(const struct weight_plan &plan,
                                                   const struct segment *segments,
                                                   const int *kept_out, const int *kept_in,
                                                   int split, int out, int in) {
    int first = plan.first_unit(split), end = plan.first_unit(split + 1);
    for (int s = first / plan.pieces; s * plan.pieces < end; s++) {
        int group = segments[s].group;
        if (out < kept_out[group] && in < kept_in[group])
            return true;
    }
    return false;
}

/* Rows of a unit: whole steps, so that pieces begin where vectors of rows do. */
static __device__ __forceinline__ struct part_rows rows_of_unit(const struct weight_plan &plan,
                                                                const struct tensor &tensor,
                                                                const struct segment &segment,
                                                                int unit, int step) {
    return rows_of_part(tensor, segment, unit % plan.pieces, plan.pieces, step);
}

/* Rows [k][channel] of one side into [k][PLAIN_PITCH]. */
template <class Rows>
static __device__ __forceinline__ void plain_rows(float *to, const Rows &rows, int first, int end,
                                                  int first_channel, int at) {
    int k = at / (WEIGHT_TILE / LANES), lanes = at % (WEIGHT_TILE / LANES) * LANES;
    float value[LANES] = {};
    if (first + k < end && first_channel + lanes < rows.kept)
        rows.load(value, first + k, first_channel + lanes);
    store8(to + k * PLAIN_PITCH + lanes, value);
}

template <class T>
__global__ void __launch_bounds__(PLAIN_THREADS)
    plain_weight_kernel(const struct segment *segments, struct weight_plan plan,
                        struct device_view view, struct device_gradient gradient, float *partial) {
    int across = (plan.inputs + WEIGHT_TILE - 1) / WEIGHT_TILE, split = blockIdx.y;
    int out = blockIdx.x / across * WEIGHT_TILE, in = blockIdx.x % across * WEIGHT_TILE;
    if (!split_keeps(plan, segments, gradient.z.kept, view.z.kept, split, out, in))
        return;
    __shared__ __align__(16) float left[PLAIN_STEP * PLAIN_PITCH], right[PLAIN_STEP * PLAIN_PITCH];
    plain_sums product = {};
    for (int unit = plan.first_unit(split); unit < plan.first_unit(split + 1); unit++) {
        const struct segment segment = segments[unit / plan.pieces];
        gradient_rows<T> dz(gradient, segment);
        view_rows<T> a(view, segment);
        if (out >= dz.kept || in >= a.kept)
            continue;
        struct part_rows rows = rows_of_unit(plan, view.z, segment, unit, PLAIN_STEP);
        for (int first = rows.begin; first < rows.end; first += PLAIN_STEP) {
            if (threadIdx.x < 128)
                plain_rows(left, dz, first, rows.end, out, threadIdx.x);
            else
                plain_rows(right, a, first, rows.end, in, threadIdx.x - 128);
            __syncthreads();
            plain_multiply(product, left, right);
            __syncthreads();
        }
    }
    int y = out + threadIdx.x / 16 * PLAIN_EACH, x = in + threadIdx.x % 16 * PLAIN_EACH;
    float *to = partial + (size_t)split * plan.outputs * plan.inputs;
    for (int i = 0; i < PLAIN_EACH && y + i < plan.outputs; i++)
        for (int j = 0; j < PLAIN_EACH && x + j < plan.inputs; j++)
            to[(size_t)(y + i) * plan.inputs + x + j] = product[i][j];
}

/* gradient += ((split 0 + split 1) + ...): thread row y adds the splits y, y + rows, ... */
static __global__ void add_splits_kernel(const struct segment *segments, struct weight_plan plan,
                                         const int *kept_out, const int *kept_in,
                                         const float *partial, float *gradient) {
    __shared__ float sums[32][ADD_COLUMNS];
    __shared__ int any[32][ADD_COLUMNS];
    int x = threadIdx.x, y = threadIdx.y;
    size_t matrix = (size_t)plan.outputs * plan.inputs;
    size_t element = (size_t)blockIdx.x * ADD_COLUMNS + x;
    float sum = 0;
    int kept = 0;
    if (element < matrix) {
        int out = (int)(element / plan.inputs), in = (int)(element % plan.inputs);
#pragma unroll 4
        for (int split = y; split < plan.splits; split += blockDim.y) {
            bool keeps = split_keeps(plan, segments, kept_out, kept_in, split, out, in);
            sum += keeps ? partial[split * matrix + element] : 0.0f;
            kept |= keeps;
        }
    }
    sums[y][x] = sum, any[y][x] = kept;
    __syncthreads();
    if (y > 0 || element >= matrix)
        return;
    for (int row = 1; row < (int)blockDim.y; row++)
        sum += sums[row][x], kept |= any[row][x];
    if (kept)
        gradient[element] += sum;
}

/* gradient += sum of dz over the rows of all segments: a block per LANES channels. */
constexpr int BIAS_THREADS = 256;
template <class T>
__global__ void __launch_bounds__(BIAS_THREADS, 2)
    bias_kernel(const struct segment *segments, int count, struct device_gradient gradient,
                float *bias_gradient) {
    __shared__ float sums[BIAS_THREADS][LANES];
    int column = blockIdx.x * LANES, most = 0;
    float sum[LANES] = {};
    for (int s = 0; s < count; s++) {
        const struct segment segment = segments[s];
        gradient_rows<T> dz(gradient, segment);
        int rows = segment.images * gradient.z.height * gradient.z.width;
        most = dz.kept > most ? dz.kept : most;
#pragma unroll 1
        for (int row = threadIdx.x; row < rows && column < dz.kept; row += BIAS_THREADS) {
            float value[LANES];
            dz.load(value, row, column);
#pragma unroll
            for (int i = 0; i < LANES; i++)
                sum[i] += value[i];
        }
    }
#pragma unroll
    for (int i = 0; i < LANES; i++)
        sums[threadIdx.x][i] = sum[i];
    __syncthreads();
    if (threadIdx.x >= LANES || column + (int)threadIdx.x >= most)
        return;
    float all = 0;
    for (int thread = 0; thread < BIAS_THREADS; thread++)
        all += sums[thread][threadIdx.x];
    bias_gradient[column + threadIdx.x] += all;
}

#endif
