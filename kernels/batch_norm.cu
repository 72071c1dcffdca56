/* Batch-norm's rows from what the parts of the segments have left behind.
 *
 * A block has eight neighbouring channels, as many as memory hands out at once; its threads share
 * out the parts, a warp four at a time. Forward, a block has one domain; backward, it has all,
 * because the gradients of weight and bias are sums over the domains, in their order: a team of
 * warps has one at a time. A launch is a short chain of dependent loads, and as long as it takes to
 * fetch its instructions: the loops stay small, and divisions are the short ones, good to two units
 * in the last place. */
#include "cuda_ops.h"

enum { CHANNELS = 8, PARTS_OF_A_WARP = WARP / CHANNELS };

struct merging {
    struct batch_norm norm;
    const int *kept; /* of z */
    const struct segment *segments;
    int count;
    float *gradient;
};

/* The rows of partial sums behind one channel of one domain: those of its segments, which follow
 * each other, part by part. */
struct domain_parts {
    const float *counts, *sums; /* of the channel, in the first row */
    int parts, pitch;           /* rows; floats from row to row */
    size_t row;                 /* of the domain, in the norm's rows */
};

/* The domain that starts at segment `at`, a run of segments of one group (shared: all). No parts:
 * none starts there, or nobody keeps the channel. */
template <bool SHARED>
static __device__ __forceinline__ bool domain_at(struct domain_parts &domain,
                                                 const struct merging &merge, int at, int c) {
    const struct segment *segments = merge.segments;
    const struct batch_norm &norm = merge.norm;
    if (at >= merge.count || (SHARED && at > 0))
        return false;
    int group = segments[at].group, count = SHARED ? merge.count : 1;
    if (!SHARED && at > 0 && segments[at - 1].group == group)
        return false;
    while (!SHARED && at + count < merge.count && segments[at + count].group == group)
        count++;
    int first = segments[at].index * norm.parts;
    domain.pitch = 2 * norm.stride;
    domain.counts = (const float *)norm.row_count + first;
    domain.sums = (const float *)norm.partial + (size_t)first * domain.pitch + c;
    domain.parts = SHARED || c < merge.kept[group] ? count * norm.parts : 0;
    domain.row = SHARED ? 0 : (size_t)group * norm.stride;
    return true;
}

struct part {
    float pixels; /* that count for the channel */
    float first, second;
};

template <bool SHARED>
static __device__ __forceinline__ struct part
part_of(const struct merging &merge, const struct domain_parts &domain, int index, int c) {
    const float *sums = domain.sums + index * domain.pitch;
    struct part part = {domain.counts[index], sums[0], sums[merge.norm.stride]};
    /* Nothing stands in the sums of an empty part or of a dropped channel. */
    bool dropped =
        SHARED && c >= merge.kept[merge.segments[(unsigned)index / merge.norm.parts].group];
    if (part.pixels == 0 || dropped)
        part.pixels = part.first = part.second = 0;
    return part;
}

/* Lanes have a channel in common when they differ by a multiple of CHANNELS. */
static __device__ __forceinline__ float warp_sum(float value) {
    for (int step = CHANNELS; step < WARP; step *= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

static __device__ __forceinline__ void set_scale(const struct batch_norm &norm, size_t at,
                                                 float mean, float variance, float weight,
                                                 float bias) {
    float scale = weight * rsqrtf(variance + norm.epsilon);
    norm.scale[at] = scale;
    norm.shift[at] = bias - mean * scale;
}

/* SUMS values of every thread, summed over the block's threads of the same channel. */
template <int SUMS, int WARPS> struct channel_sums {
    float rows[SUMS][WARPS][CHANNELS];

    __device__ __forceinline__ void add(float (&values)[SUMS]) {
        int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
#pragma unroll
        for (int which = 0; which < SUMS; which++) {
            float sum = warp_sum(values[which]);
            if (lane < CHANNELS)
                rows[which][warp][lane] = sum;
        }
        __syncthreads();
#pragma unroll
        for (int which = 0; which < SUMS; which++) {
            values[which] = 0;
#pragma unroll
            for (int other = 0; other < WARPS; other++)
                values[which] += rows[which][other][lane % CHANNELS];
        }
    }
};

enum { MOST_WARPS = 16, READ_AT_ONCE = 8 };

/* Parts of n values each with their mean and squares about it: the mean of all first, then the
 * squares about that, so that nothing cancels. As many parts as the block reads at once are kept
 * for that. A channel that nobody keeps gets a row of zeros. */
template <bool SHARED, int WARPS>
static __global__ void __launch_bounds__(WARPS *WARP) forward_kernel(const struct merging merge) {
    __shared__ struct channel_sums<2, WARPS> means;
    __shared__ struct channel_sums<1, WARPS> deviations;
    const struct batch_norm &norm = merge.norm;
    int c = (int)(blockIdx.x * CHANNELS + threadIdx.x % CHANNELS);
    int first = (int)threadIdx.x / CHANNELS, step = WARPS * PARTS_OF_A_WARP;
    int rest = first + READ_AT_ONCE * step;
    struct domain_parts domain;
    if (!domain_at<SHARED>(domain, merge, (int)blockIdx.y, c))
        return;
    float sums[2] = {0, 0}, squares[1] = {0};
    auto add = [&](const struct part &part) {
        sums[0] += part.pixels;
        sums[1] += part.pixels * part.first;
    };
    struct part parts[READ_AT_ONCE] = {};
#pragma unroll
    for (int j = 0; j < READ_AT_ONCE; j++)
        if (first + j * step < domain.parts)
            parts[j] = part_of<SHARED>(merge, domain, first + j * step, c);
    float weight = first == 0 && c < norm.channels ? norm.weight[c] : 0;
    float bias = first == 0 && c < norm.channels ? norm.bias[c] : 0;
#pragma unroll
    for (int j = 0; j < READ_AT_ONCE; j++)
        add(parts[j]);
#pragma unroll 1
    for (int i = rest; i < domain.parts; i += step)
        add(part_of<SHARED>(merge, domain, i, c));
    means.add(sums);
    float pixels = sums[0], mean = pixels > 0 ? __fdividef(sums[1], pixels) : 0;
    auto add_squares = [&](const struct part &part) {
        float away = part.first - mean;
        squares[0] += part.second + part.pixels * away * away;
    };
#pragma unroll
    for (int j = 0; j < READ_AT_ONCE; j++)
        add_squares(parts[j]);
#pragma unroll 1
    for (int i = rest; i < domain.parts; i += step)
        add_squares(part_of<SHARED>(merge, domain, i, c));
    deviations.add(squares);
    if (first > 0 || c >= norm.channels)
        return;
    float variance = pixels > 0 ? __fdividef(squares[0], pixels) : 0;
    size_t at = domain.row + c;
    norm.mean[at] = mean;
    norm.variance[at] = variance;
    if (pixels > 0)
        set_scale(norm, at, mean, variance, weight, bias);
    else
        norm.scale[at] = norm.shift[at] = 0;
}

static __global__ void given_kernel(const struct batch_norm norm) {
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c < norm.channels)
        set_scale(norm, c, norm.mean[c], norm.variance[c], norm.weight[c], norm.bias[c]);
}

struct gradient_sums {
    float pixels, dy, dy_z; /* dy_z: of dy (z - mean) */
};

/* What set_gradient() reads: fetched early, beside the sums. */
struct norm_statistics {
    float weight, mean, variance;
};

/* With zhat = (z - mean) / deviation, means over the domain, and scale = weight / deviation:
 *     dz = scale (dy - mean(dy) - zhat mean(dy zhat)) = grad_y dy + grad_z z + grad_one
 * Returns sum dy zhat: the weight's gradient. */
static __device__ __forceinline__ float set_gradient(const struct batch_norm &norm, size_t at,
                                                     const struct norm_statistics &statistics,
                                                     const struct gradient_sums &sums) {
    float inverse = rsqrtf(statistics.variance + norm.epsilon);
    float share = __fdividef(1.0f, sums.pixels);
    float scale = statistics.weight * inverse, dy_zhat = sums.dy_z * inverse;
    float grad_z = -scale * inverse * dy_zhat * share;
    norm.grad_y[at] = scale;
    norm.grad_z[at] = grad_z;
    norm.grad_one[at] = -scale * sums.dy * share - grad_z * statistics.mean;
    return dy_zhat;
}

enum { BACKWARD_WARPS = 16 };

/* What the lanes of a warp that has `own` of the `team` warps of a domain collect for its channel.
 */
template <bool SHARED>
static __device__ __forceinline__ struct gradient_sums
gradient_sums_of(const struct merging &merge, const struct domain_parts &domain, int c, int own,
                 int team) {
    struct gradient_sums sums = {0, 0, 0};
    int lane = (int)threadIdx.x % WARP;
    int step = team * PARTS_OF_A_WARP;
#pragma unroll 1
    for (int first = own * PARTS_OF_A_WARP + lane / CHANNELS; first < domain.parts;
         first += READ_AT_ONCE * step) {
        struct part parts[READ_AT_ONCE] = {};
#pragma unroll
        for (int j = 0; j < READ_AT_ONCE; j++)
            if (first + j * step < domain.parts)
                parts[j] = part_of<SHARED>(merge, domain, first + j * step, c);
#pragma unroll
        for (int j = 0; j < READ_AT_ONCE; j++) {
            sums.pixels += parts[j].pixels;
            sums.dy += parts[j].first, sums.dy_z += parts[j].second;
        }
    }
    sums.pixels = warp_sum(sums.pixels);
    sums.dy = warp_sum(sums.dy), sums.dy_z = warp_sum(sums.dy_z);
    return sums;
}

/* team: warps of a domain, a divisor of BACKWARD_WARPS. The first warp of a team adds up what the
 * others have left, and keeps the gradients of the domains that it has had. */
template <bool SHARED>
static __global__ void __launch_bounds__(BACKWARD_WARPS *WARP)
    backward_kernel(const struct merging merge, int team) {
    __shared__ struct gradient_sums of_warp[BACKWARD_WARPS][CHANNELS];
    __shared__ float of_weight[BACKWARD_WARPS][CHANNELS], of_bias[BACKWARD_WARPS][CHANNELS];
    const struct batch_norm &norm = merge.norm;
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP, own = warp % team;
    int c = (int)blockIdx.x * CHANNELS + lane % CHANNELS;
    bool adds = own == 0 && lane < CHANNELS && c < norm.channels;
    float weight = 0, bias = 0;
    for (int first = 0; first < merge.count; first += BACKWARD_WARPS / team) {
        struct domain_parts domain = {};
        bool starts = domain_at<SHARED>(domain, merge, first + warp / team, c);
        struct gradient_sums sums = {0, 0, 0};
        struct norm_statistics statistics = {0, 0, 0};
        size_t row = domain.row + c;
        if (starts && adds)
            statistics = {norm.weight[c], norm.mean[row], norm.variance[row]};
        if (starts)
            sums = gradient_sums_of<SHARED>(merge, domain, c, own, team);
        if (lane < CHANNELS)
            of_warp[warp][lane] = sums;
        __syncthreads();
        if (starts && adds) {
            for (int other = 1; other < team; other++) {
                const struct gradient_sums &more = of_warp[warp + other][lane];
                sums.pixels += more.pixels, sums.dy += more.dy, sums.dy_z += more.dy_z;
            }
            if (sums.pixels > 0) {
                weight += set_gradient(norm, row, statistics, sums);
                bias += sums.dy;
            } else {
                norm.grad_y[row] = norm.grad_z[row] = norm.grad_one[row] = 0;
            }
        }
        __syncthreads();
    }
    if (lane < CHANNELS)
        of_weight[warp][lane] = weight, of_bias[warp][lane] = bias;
    __syncthreads();
    if (warp > 0 || !adds)
        return;
    for (int other = team; other < BACKWARD_WARPS; other += team)
        weight += of_weight[other][lane], bias += of_bias[other][lane];
    merge.gradient[norm.weight_offset + c] += weight;
    merge.gradient[norm.bias_offset + c] += bias;
}

static struct merging merging_of(const struct batch_norm *norm, const struct tensor *z,
                                 const struct slice *slice) {
    struct merging merge = {};
    merge.norm = *norm, merge.kept = z->kept;
    merge.segments = slice->device_segments, merge.count = slice->count;
    merge.gradient = slice->gradient;
    return merge;
}

/* Few parts, as many groups have, need few warps. */
template <bool SHARED>
static void launch_forward(const struct merging &merge, dim3 grid, int parts) {
    constexpr int FEW = MOST_WARPS / 8;
    if (parts <= FEW * PARTS_OF_A_WARP * READ_AT_ONCE)
        LAUNCH((forward_kernel<SHARED, FEW>), grid, FEW * WARP, 0, cuda_stream(), merge);
    else
        LAUNCH((forward_kernel<SHARED, MOST_WARPS>), grid, MOST_WARPS * WARP, 0, cuda_stream(),
               merge);
}

/* The rows of the slice's groups, each once. */
static enum status given_forward(const struct batch_norm *norm, const struct slice *slice) {
    enum { THREADS = 128 };
    for (int s = 0; s < slice->count; s++) {
        struct batch_norm group = *norm;
        size_t row = (size_t)slice->segments[s].group * norm->stride;
        if (s > 0 && slice->segments[s - 1].group == slice->segments[s].group)
            continue;
        group.mean += row, group.variance += row, group.scale += row, group.shift += row;
        LAUNCH(given_kernel, pieces(norm->channels, THREADS), THREADS, 0, cuda_stream(), group);
    }
    return cuda_launched("batch_norm_given");
}

/* A block for each segment: where a run of one group's segments starts, it has the domain. */
enum status cuda_batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                                    const struct slice *slice) {
    if (norm->mode == NORM_FIXED)
        return given_forward(norm, slice);
    int channels = pieces(norm->channels, CHANNELS);
    struct merging merge = merging_of(norm, z, slice);
    dim3 grid(channels, norm->mode == NORM_SHARED ? 1 : slice->count);
    if (norm->mode == NORM_SHARED)
        launch_forward<true>(merge, grid, slice->count * norm->parts);
    else
        launch_forward<false>(merge, grid, norm->parts);
    return cuda_launched("batch_norm_forward");
}

/* All warps have something to do where there are few domains. */
static int team_of(int domains) {
    int team = BACKWARD_WARPS;
    while (team > 1 && domains * team > BACKWARD_WARPS)
        team /= 2;
    return team;
}

enum status cuda_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                     const struct slice *slice) {
    int channels = pieces(norm->channels, CHANNELS), threads = BACKWARD_WARPS * WARP;
    struct merging merge = merging_of(norm, z, slice);
    if (norm->mode == NORM_SHARED)
        LAUNCH(backward_kernel<true>, channels, threads, 0, cuda_stream(), merge, team_of(1));
    else
        LAUNCH(backward_kernel<false>, channels, threads, 0, cuda_stream(), merge,
               team_of(slice->count));
    return cuda_launched("batch_norm_backward");
}
