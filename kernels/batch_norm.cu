/* Batch-norm's rows from what the parts of the segments have left behind.
 *
 * A warp has one channel of one domain, its lanes share out the parts; eight warps side by side
 * have neighbouring channels, so that what memory hands out at once is used. Forward, a block has
 * one domain; backward, it has all, four at a time, because the gradients of weight and bias are
 * sums over the domains, in their order. The launches are short chains of dependent loads: segments
 * go to shared memory first, many parts are under way at once, and the code is small. */
#include "cuda_ops.h"

enum {
    CHANNELS = 8,
    SLOTS = 4 /* domains at a time, backward */,
    UNDER_WAY = 8 /* parts of a lane */
};

struct merging {
    struct batch_norm norm;
    const int *kept; /* of z */
    const struct segment *segments;
    int count;
    float *gradient;
};

/* What a block needs of every segment. */
struct known_segment {
    int group, index, kept;
};

static __device__ __forceinline__ void know_segments(struct known_segment *known,
                                                     const struct merging &merge) {
    for (int i = (int)threadIdx.x; i < merge.count; i += (int)blockDim.x) {
        int group = merge.segments[i].group;
        known[i].group = group;
        known[i].index = merge.segments[i].index;
        known[i].kept = merge.kept[group];
    }
    __syncthreads();
}

/* The domain that starts at segment `at`: a run of segments. count 0: none starts there. */
struct domain {
    int first, count;
    size_t row;
};

static __device__ __forceinline__ struct domain
domain_at(const struct merging &merge, const struct known_segment *known, int at) {
    struct domain domain = {at, 0, 0};
    if (at >= merge.count)
        return domain;
    if (merge.norm.mode == NORM_SHARED) {
        domain.count = at == 0 ? merge.count : 0;
        return domain;
    }
    int group = known[at].group;
    if (at > 0 && known[at - 1].group == group)
        return domain;
    domain.row = (size_t)group * merge.norm.stride;
    domain.count = 1;
    while (at + domain.count < merge.count && known[at + domain.count].group == group)
        domain.count++;
    return domain;
}

struct part {
    float pixels; /* that count for the channel */
    float first, second;
};

static __device__ __forceinline__ struct part part_of(const struct merging &merge,
                                                      const struct known_segment *known,
                                                      unsigned index, int channel) {
    unsigned parts = (unsigned)merge.norm.parts, which = index / parts;
    size_t row = (size_t)known[which].index * parts + (index - which * parts);
    const float *sums = (const float *)merge.norm.partial + row * 2 * merge.norm.stride + channel;
    struct part part = {((const float *)merge.norm.row_count)[row], sums[0],
                        sums[merge.norm.stride]};
    /* Nothing stands in the sums of an empty part or of a dropped channel. */
    if (part.pixels == 0 || channel >= known[which].kept)
        part.pixels = part.first = part.second = 0;
    return part;
}

static __device__ __forceinline__ float warp_sum(float value) {
    for (int step = 1; step < WARP; step *= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

static __device__ __forceinline__ void set_scale(const struct batch_norm &norm, size_t row, int c,
                                                 float mean, float variance) {
    float scale = norm.weight[c] / sqrtf(variance + norm.epsilon);
    norm.scale[row + c] = scale;
    norm.shift[row + c] = norm.bias[c] - mean * scale;
}

/* Parts of n values each with their mean and squares about it: the mean of all first, then the
 * squares about that, so that nothing cancels; the second look finds the parts in the cache. A
 * channel that nobody keeps gets a row of zeros. */
static __global__ void __launch_bounds__(CHANNELS *WARP)
    forward_kernel(const struct merging merge) {
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    struct domain domain = domain_at(merge, known, (int)blockIdx.y);
    int c = (int)(blockIdx.x * CHANNELS + threadIdx.x / WARP), lane = (int)threadIdx.x % WARP;
    int parts = domain.count * norm.parts;
    if (parts == 0 || c >= norm.channels)
        return;
    float pixels = 0, total = 0, squares = 0;
#pragma unroll UNDER_WAY
    for (int i = lane; i < parts; i += WARP) {
        struct part part = part_of(merge, known + domain.first, i, c);
        pixels += part.pixels;
        total += part.pixels * part.first;
    }
    pixels = warp_sum(pixels), total = warp_sum(total);
    float mean = pixels > 0 ? total / pixels : 0;
#pragma unroll UNDER_WAY
    for (int i = lane; i < parts; i += WARP) {
        struct part part = part_of(merge, known + domain.first, i, c);
        float away = part.first - mean;
        squares += part.second + part.pixels * away * away;
    }
    squares = warp_sum(squares);
    if (lane != 0)
        return;
    float variance = pixels > 0 ? squares / pixels : 0;
    size_t at = domain.row + c;
    norm.mean[at] = mean;
    norm.variance[at] = variance;
    if (pixels > 0)
        set_scale(norm, domain.row, c, mean, variance);
    else
        norm.scale[at] = norm.shift[at] = 0;
}

static __global__ void given_kernel(const struct batch_norm norm) {
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c < norm.channels)
        set_scale(norm, 0, c, norm.mean[c], norm.variance[c]);
}

struct gradient_sums {
    float pixels, dy, dy_z; /* dy_z: of dy (z - mean) */
};

/* With zhat = (z - mean) / deviation, means over the domain, and scale = weight / deviation:
 *     dz = scale (dy - mean(dy) - zhat mean(dy zhat)) = grad_y dy + grad_z z + grad_one
 * Returns sum dy zhat: the weight's gradient. */
static __device__ __forceinline__ float set_gradient(const struct batch_norm &norm, size_t at,
                                                     int c, const struct gradient_sums &sums) {
    float inverse = 1 / sqrtf(norm.variance[at] + norm.epsilon);
    float scale = norm.weight[c] * inverse, dy_zhat = sums.dy_z * inverse;
    float grad_z = -scale * inverse * dy_zhat / sums.pixels;
    norm.grad_y[at] = scale;
    norm.grad_z[at] = grad_z;
    norm.grad_one[at] = -scale * sums.dy / sums.pixels - grad_z * norm.mean[at];
    return dy_zhat;
}

/* Sums over the domain's parts, in every lane. */
static __device__ __forceinline__ struct gradient_sums
gradient_sums_of(const struct merging &merge, const struct known_segment *known,
                 const struct domain &domain, int c, int lane) {
    struct gradient_sums sums = {0, 0, 0};
    int parts = c < merge.norm.channels ? domain.count * merge.norm.parts : 0;
#pragma unroll UNDER_WAY
    for (int i = lane; i < parts; i += WARP) {
        struct part part = part_of(merge, known + domain.first, i, c);
        sums.pixels += part.pixels, sums.dy += part.first, sums.dy_z += part.second;
    }
    sums.pixels = warp_sum(sums.pixels);
    sums.dy = warp_sum(sums.dy), sums.dy_z = warp_sum(sums.dy_z);
    return sums;
}

static __global__ void __launch_bounds__(SLOTS *CHANNELS *WARP)
    backward_kernel(const struct merging merge) {
    __shared__ float of_weight[CHANNELS][SLOTS], of_bias[CHANNELS][SLOTS];
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    int own = warp % CHANNELS, slot = warp / CHANNELS, c = (int)blockIdx.x * CHANNELS + own;
    float weight = 0, bias = 0; /* of the slot's domains */
    for (int at = slot; at < merge.count; at += SLOTS) {
        struct domain domain = domain_at(merge, known, at);
        struct gradient_sums sums = gradient_sums_of(merge, known, domain, c, lane);
        if (domain.count == 0 || c >= norm.channels)
            continue;
        size_t row = domain.row + c;
        if (sums.pixels > 0 && lane == 0) {
            weight += set_gradient(norm, row, c, sums);
            bias += sums.dy;
        } else if (lane == 0) {
            norm.grad_y[row] = norm.grad_z[row] = norm.grad_one[row] = 0;
        }
    }
    if (lane == 0)
        of_weight[own][slot] = weight, of_bias[own][slot] = bias;
    __syncthreads();
    if (lane != 0 || slot != 0 || c >= norm.channels)
        return;
    for (int i = 1; i < SLOTS; i++)
        weight += of_weight[own][i], bias += of_bias[own][i];
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

/* A block starts a domain for each segment: a run of one group's segments has but one start. */
enum status cuda_batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                                    const struct slice *slice) {
    enum { THREADS = 128 };
    if (norm->mode == NORM_FIXED) {
        LAUNCH(given_kernel, pieces(norm->channels, THREADS), THREADS, 0, cuda_stream(), *norm);
        return cuda_launched("batch_norm_given");
    }
    dim3 grid(pieces(norm->channels, CHANNELS), norm->mode == NORM_SHARED ? 1 : slice->count);
    LAUNCH(forward_kernel, grid, CHANNELS * WARP, slice->count * sizeof(struct known_segment),
           cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_forward");
}

enum status cuda_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                     const struct slice *slice) {
    LAUNCH(backward_kernel, pieces(norm->channels, CHANNELS), SLOTS * CHANNELS * WARP,
           slice->count * sizeof(struct known_segment), cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_backward");
}
