/* The gradient of a product's weights, dW[out][in] = sum over rows of dz^T a.
 *
 * A block makes one tile of dW, in steps of a few rows. The steps of all segments that keep
 * something of the tile follow each other; split s has a run of them, whatever segments it crosses,
 * so that blocks are equally long and groups cost no partials. A split leaves its sum in scratch
 * [tile][split][out][in], and a second kernel adds the splits in their order. A tile of one split
 * is added to the gradient at once. What a tile has beyond the kept channels is zero.
 */
#ifndef TAPER_WEIGHT_GRADIENT_CUH
#define TAPER_WEIGHT_GRADIENT_CUH

#include "product.cuh"
#include "product_plain.cuh"

constexpr int WEIGHT_TILE = 64;             /* of either side */
constexpr int WEIGHT_BLOCKS = 528;          /* that the device has at once */
constexpr size_t WEIGHT_SCRATCH = 24 << 20; /* bytes of partial sums */
constexpr size_t MADE_SCRATCH = 24 << 20;   /* behind them: dz, where it is made once */
constexpr int LEAST_STEPS = 4;              /* of a split: it takes a while to begin and to end */
constexpr int ADD_THREADS = 256, ADD_VECTORS = 8 /* a block's fewest */, ADD_AT_ONCE = 8;

struct weight_plan {
    int segments, splits;
    int outputs, inputs; /* full */
    int outs, ins;       /* of a tile */
    int across, tiles;
    int step, area; /* rows of a step, of an image */
    const int *kept_out, *kept_in;
};

static inline struct weight_plan weight_plan_of(const struct convolution *convolution,
                                                const struct slice *slice, int outs, int ins,
                                                int step, int blocks) {
    const struct tensor *input = convolution->input.tensor;
    struct weight_plan plan = {};
    plan.segments = slice->count;
    plan.outputs = convolution->output.channels, plan.inputs = input->channels;
    plan.outs = outs, plan.ins = ins;
    plan.across = pieces(plan.inputs, ins), plan.tiles = plan.across * pieces(plan.outputs, outs);
    plan.step = step, plan.area = input->height * input->width;
    plan.kept_out = convolution->output.kept, plan.kept_in = input->kept;
    size_t steps = 0, most = WEIGHT_SCRATCH / ((size_t)plan.tiles * outs * ins * sizeof(float));
    for (int i = 0; i < slice->count; i++)
        steps += pieces((size_t)slice->segments[i].images * plan.area, step);
    most = most < steps / LEAST_STEPS ? most : steps / LEAST_STEPS;
    size_t wanted = (size_t)blocks / plan.tiles;
    plan.splits = (int)(wanted < most ? wanted : most);
    plan.splits = plan.splits > 0 ? plan.splits : 1;
    return plan;
}

static __device__ __forceinline__ int steps_of_segment(const struct weight_plan &plan,
                                                       const struct segment *segments, int index,
                                                       int out, int in) {
    if (index >= plan.segments)
        return 0;
    int group = segments[index].group, images = segments[index].images;
    bool keeps = out < plan.kept_out[group] && in < plan.kept_in[group];
    return keeps ? (images * plan.area + plan.step - 1) / plan.step : 0;
}

/* Of all segments that keep something of the tile at (out, in): its first element. By whole
 * warps. */
static __device__ __forceinline__ int
steps_of_tile(const struct weight_plan &plan, const struct segment *segments, int out, int in) {
    int steps = 0, lane = (int)(threadIdx.y * blockDim.x + threadIdx.x) % WARP;
    for (int first = 0; first < plan.segments; first += WARP)
        steps += steps_of_segment(plan, segments, first + lane, out, in);
#pragma unroll
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        steps += __shfl_xor_sync(0xffffffffu, steps, apart);
    return steps;
}

/* work(segment, first row, end row) for the split's runs of steps. By whole blocks. */
template <class Work>
static __device__ __forceinline__ void each_run(const struct weight_plan &plan,
                                                const struct segment *segments, int steps,
                                                int split, int out, int in, const Work &work) {
    int begin = piece_begin(steps, split, plan.splits);
    int end = piece_begin(steps, split + 1, plan.splits), passed = 0;
    for (int first = 0; first < plan.segments && passed < end; first += WARP) {
        int mine = steps_of_segment(plan, segments, first + (int)threadIdx.x % WARP, out, in);
        for (int s = 0; s < WARP && first + s < plan.segments && passed < end; s++) {
            int count = __shfl_sync(0xffffffffu, mine, s);
            int from = begin > passed ? begin - passed : 0;
            int to = end - passed < count ? end - passed : count;
            passed += count;
            if (from >= to)
                continue;
            const struct segment segment = segments[first + s];
            int rows = segment.images * plan.area;
            work(segment, from * plan.step, to * plan.step < rows ? to * plan.step : rows);
        }
    }
}

/* COUNT pairs of neighbouring sums in a row of a tile, 8 columns from one pair to the next. */
template <int COUNT>
static __device__ __forceinline__ void leave_sums(const struct weight_plan &plan, float *partial,
                                                  float *gradient, int row, int column,
                                                  const float (&sums)[COUNT][2]) {
    if (plan.splits > 1) {
        size_t tile = (size_t)blockIdx.x * plan.splits + blockIdx.y;
        float *to = partial + (tile * plan.outs + row) * plan.ins + column;
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            *reinterpret_cast<float2 *>(to + i * 8) = make_float2(sums[i][0], sums[i][1]);
        return;
    }
    row += (int)blockIdx.x / plan.across * plan.outs;
    column += (int)blockIdx.x % plan.across * plan.ins;
    int there = row < plan.outputs ? plan.inputs - column : 0;
    float *to = gradient + (size_t)row * plan.inputs + column, before[COUNT][2];
#pragma unroll
    for (int i = 0; i < COUNT * 2; i++) /* no store holds a load up */
        before[i / 2][i % 2] = i / 2 * 8 + i % 2 < there ? to[i / 2 * 8 + i % 2] : 0.0f;
#pragma unroll
    for (int i = 0; i < COUNT * 2; i++)
        if (i / 2 * 8 + i % 2 < there)
            to[i / 2 * 8 + i % 2] = before[i / 2][i % 2] + sums[i / 2][i % 2];
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
                        struct device_view view, struct device_gradient gradient, float *partial,
                        float *weight_gradient) {
    int out = blockIdx.x / plan.across * WEIGHT_TILE, in = blockIdx.x % plan.across * WEIGHT_TILE;
    int steps = steps_of_tile(plan, segments, out, in);
    if (steps == 0)
        return;
    __shared__ __align__(16) float left[PLAIN_STEP * PLAIN_PITCH], right[PLAIN_STEP * PLAIN_PITCH];
    plain_sums product = {};
    each_run(plan, segments, steps, blockIdx.y, out, in,
             [&](const struct segment &segment, int begin, int end) {
                 gradient_rows<T> dz(gradient, segment);
                 view_rows<T> a(view, segment);
                 for (int first = begin; first < end; first += PLAIN_STEP) {
                     if (threadIdx.x < 128)
                         plain_rows(left, dz, first, end, out, threadIdx.x);
                     else
                         plain_rows(right, a, first, end, in, threadIdx.x - 128);
                     __syncthreads();
                     plain_multiply(product, left, right);
                     __syncthreads();
                 }
             });
    int y = threadIdx.x / 16 * PLAIN_EACH, x = threadIdx.x % 16 * PLAIN_EACH;
    for (int i = 0; i < PLAIN_EACH; i++)
        for (int j = 0; j < PLAIN_EACH; j += 2) {
            const float pair[1][2] = {{product[i][j], product[i][j + 1]}};
            leave_sums(plan, partial, weight_gradient, y + i, x + j, pair);
        }
}

static __device__ __forceinline__ float4 plus(const float4 &a, const float4 &b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

/* gradient += sum over the splits: blockDim.x vectors of a tile (blockIdx.y), thread row y adds the
 * splits y, y + rows, ..., and then the rows are added in pairs. */
static __global__ void __launch_bounds__(ADD_THREADS, 4)
    add_splits_kernel(const struct segment *segments, struct weight_plan plan, const float *partial,
                      float *gradient) {
    __shared__ float4 sums[ADD_THREADS];
    int vectors = plan.outs * plan.ins / 4, vector = blockIdx.x * blockDim.x + threadIdx.x;
    int rows = blockDim.y, at = threadIdx.y * blockDim.x + threadIdx.x;
    const float4 *from = reinterpret_cast<const float4 *>(partial) +
                         (size_t)blockIdx.y * plan.splits * vectors + vector;
    int out = blockIdx.y / plan.across * plan.outs, in = blockIdx.y % plan.across * plan.ins;
    int row = out + vector * 4 / plan.ins, column = in + vector * 4 % plan.ins;
    bool adds = threadIdx.y == 0 && row < plan.outputs;
    float *to = gradient + (size_t)row * plan.inputs + column;
    float before[4] = {}; /* read while the splits are */
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (adds && column + i < plan.inputs)
            before[i] = to[i];
    float4 sum = make_float4(0, 0, 0, 0), part[ADD_AT_ONCE];
    auto load = [&](int first) {
#pragma unroll
        for (int i = 0; i < ADD_AT_ONCE; i++) /* no condition holds a load up */
            part[i] = from[(size_t)min(first + i * rows, plan.splits - 1) * vectors];
    };
    load(threadIdx.y);
    if (steps_of_tile(plan, segments, out, in) == 0)
        return;
    for (int first = threadIdx.y; first < plan.splits;) {
#pragma unroll
        for (int i = 0; i < ADD_AT_ONCE; i++)
            sum = plus(sum, first + i * rows < plan.splits ? part[i] : make_float4(0, 0, 0, 0));
        first += rows * ADD_AT_ONCE;
        if (first < plan.splits)
            load(first);
    }
    for (int half = rows / 2; half > 0; half /= 2) {
        sums[at] = sum;
        __syncthreads();
        sum = plus(sum, sums[(at + half * blockDim.x) % ADD_THREADS]);
        __syncthreads();
    }
    const float value[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (adds && column + i < plan.inputs)
            to[i] = before[i] + value[i];
}

/* dz of all segments. */
constexpr int MAKE_THREADS = 256, MAKE_BLOCKS = 1056;
static __global__ void __launch_bounds__(MAKE_THREADS)
    make_gradient_kernel(const struct segment *segments, struct device_gradient gradient,
                         struct tensor made) {
    const struct segment segment = segments[blockIdx.y];
    gradient_rows<bf16> dz(gradient, segment);
    bf16 *to = segment_data<bf16>(made, segment);
    int ld = tensor_ld(&made, &segment), vectors = ld / LANES;
    int all = segment.images * made.height * made.width * vectors;
    for (int i = blockIdx.x * MAKE_THREADS + threadIdx.x; i < all; i += gridDim.x * MAKE_THREADS) {
        float value[LANES];
        int row = i / vectors, column = i % vectors * LANES;
        dz.load(value, row, column);
        store8(to + (size_t)row * ld + column, value);
    }
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
