/* Batch-norm's rows from what the parts of the segments have left behind.
 *
 * A block has 32 channels and all domains: it can add the gradients of weight and bias over the
 * domains in order without a second launch. A team of warps shares a domain's parts; as many teams
 * as fit work on as many domains at once. */
#include "cuda_ops.h"

constexpr int WARPS = 32; /* of a block */

struct merging {
    struct batch_norm norm;
    const int *kept; /* of z */
    const struct segment *segments;
    int count;
    int team; /* warps to a domain, a power of two */
    float *gradient;
};

/* The domain that starts at segment `at`: a run of segments. count 0: none starts there. */
struct domain {
    int first, count;
    size_t row;
};

static __device__ __forceinline__ struct domain domain_at(const struct merging &merge, int at) {
    struct domain domain = {at, 0, 0};
    if (at >= merge.count)
        return domain;
    if (merge.norm.mode == NORM_SHARED) {
        domain.count = at == 0 ? merge.count : 0;
        return domain;
    }
    int group = merge.segments[at].group;
    if (at > 0 && merge.segments[at - 1].group == group)
        return domain;
    domain.row = (size_t)group * merge.norm.stride;
    domain.count = 1;
    while (at + domain.count < merge.count && merge.segments[at + domain.count].group == group)
        domain.count++;
    return domain;
}

struct part {
    float pixels; /* that count for the channel */
    float first, second;
};

static __device__ __forceinline__ struct part
part_of(const struct merging &merge, const struct domain &domain, int index, int channel) {
    int parts = merge.norm.parts, which = index / parts;
    const struct segment *segment = &merge.segments[domain.first + which];
    size_t row = (size_t)segment->index * parts + (index - which * parts);
    const float *sums = (const float *)merge.norm.partial + row * 2 * merge.norm.stride + channel;
    struct part part = {((const float *)merge.norm.row_count)[row], sums[0],
                        sums[merge.norm.stride]};
    /* Nothing stands in the sums of an empty part or of a dropped channel. */
    if (part.pixels == 0 || channel >= merge.kept[segment->group])
        part.pixels = part.first = part.second = 0;
    return part;
}

/* A sum of every channel over the warps of a team, in order; all threads get it. */
static __device__ __forceinline__ float team_sum(float (&room)[WARPS][WARP], int team,
                                                 float value) {
    int lane = (int)threadIdx.x, first = (int)threadIdx.y / team * team;
    __syncthreads();
    room[threadIdx.y][lane] = value;
    __syncthreads();
    float sum = room[first][lane];
    for (int warp = 1; warp < team; warp++)
        sum += room[first + warp][lane];
    return sum;
}

static __device__ __forceinline__ void set_scale(const struct batch_norm &norm, size_t row, int c,
                                                 float mean, float variance) {
    float scale = norm.weight[c] / sqrtf(variance + norm.epsilon);
    norm.scale[row + c] = scale;
    norm.shift[row + c] = norm.bias[c] - mean * scale;
}

/* Parts of n values each with their mean and squares: the mean of all first, then the squares
 * about it, so that nothing cancels. A channel that nobody keeps gets a row of zeros. */
static __global__ void __launch_bounds__(WARPS *WARP, 1)
    forward_kernel(const struct merging merge) {
    __shared__ float room[WARPS][WARP];
    const struct batch_norm &norm = merge.norm;
    int c = (int)blockIdx.x * WARP + (int)threadIdx.x, teams = WARPS / merge.team;
    int member = (int)threadIdx.y % merge.team;
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, start + (int)threadIdx.y / merge.team);
        int parts = c < norm.channels ? domain.count * norm.parts : 0;
        float pixels = 0, total = 0, squares = 0;
#pragma unroll 8
        for (int i = member; i < parts; i += merge.team) {
            struct part part = part_of(merge, domain, i, c);
            pixels += part.pixels;
            total += part.pixels * part.first;
        }
        pixels = team_sum(room, merge.team, pixels);
        total = team_sum(room, merge.team, total);
        float mean = pixels > 0 ? total / pixels : 0;
#pragma unroll 8
        for (int i = member; i < parts; i += merge.team) {
            struct part part = part_of(merge, domain, i, c);
            float away = part.first - mean;
            squares += part.second + part.pixels * away * away;
        }
        squares = team_sum(room, merge.team, squares);
        if (parts == 0 || member != 0)
            continue;
        float variance = pixels > 0 ? squares / pixels : 0;
        norm.mean[domain.row + c] = mean;
        norm.variance[domain.row + c] = variance;
        norm.scale[domain.row + c] = norm.shift[domain.row + c] = 0;
        if (pixels > 0)
            set_scale(norm, domain.row, c, mean, variance);
    }
}

static __global__ void given_kernel(const struct batch_norm norm) {
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c < norm.channels)
        set_scale(norm, 0, c, norm.mean[c], norm.variance[c]);
}

/* With zhat = (z - mean) / deviation, means over the domain, and scale = weight / deviation:
 *     dz = scale (dy - mean(dy) - zhat mean(dy zhat)) = grad_y dy + grad_z z + grad_one
 * Returns sum dy zhat: the weight's gradient. */
static __device__ __forceinline__ float set_gradient(const struct batch_norm &norm, size_t row,
                                                     int c, float pixels, float dy, float dy_z) {
    float inverse = 1 / sqrtf(norm.variance[row + c] + norm.epsilon);
    float scale = norm.weight[c] * inverse, dy_zhat = dy_z * inverse;
    float grad_z = -scale * inverse * dy_zhat / pixels;
    norm.grad_y[row + c] = scale;
    norm.grad_z[row + c] = grad_z;
    norm.grad_one[row + c] = -scale * dy / pixels - grad_z * norm.mean[row + c];
    return dy_zhat;
}

static __global__ void __launch_bounds__(WARPS *WARP, 1)
    backward_kernel(const struct merging merge) {
    __shared__ float room[WARPS][WARP];
    __shared__ float of_weight[WARPS][WARP], of_bias[WARPS][WARP]; /* [team] */
    const struct batch_norm &norm = merge.norm;
    int c = (int)blockIdx.x * WARP + (int)threadIdx.x, teams = WARPS / merge.team;
    int member = (int)threadIdx.y % merge.team, team = (int)threadIdx.y / merge.team;
    bool adds = threadIdx.y == 0 && c < norm.channels;
    float weight = adds ? merge.gradient[norm.weight_offset + c] : 0;
    float bias = adds ? merge.gradient[norm.bias_offset + c] : 0;
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, start + team);
        int parts = c < norm.channels ? domain.count * norm.parts : 0;
        float pixels = 0, dy = 0, dy_z = 0, dy_zhat = 0;
#pragma unroll 8
        for (int i = member; i < parts; i += merge.team) {
            struct part part = part_of(merge, domain, i, c);
            pixels += part.pixels, dy += part.first, dy_z += part.second;
        }
        pixels = team_sum(room, merge.team, pixels);
        dy = team_sum(room, merge.team, dy);
        dy_z = team_sum(room, merge.team, dy_z);
        if (parts > 0 && member == 0) {
            size_t at = domain.row + c;
            norm.grad_y[at] = norm.grad_z[at] = norm.grad_one[at] = 0;
            if (pixels > 0)
                dy_zhat = set_gradient(norm, domain.row, c, pixels, dy, dy_z);
        }
        if (member == 0)
            of_weight[team][threadIdx.x] = dy_zhat, of_bias[team][threadIdx.x] = dy;
        __syncthreads();
        for (int i = 0; i < teams && adds; i++)
            weight += of_weight[i][threadIdx.x], bias += of_bias[i][threadIdx.x];
    }
    if (adds) {
        merge.gradient[norm.weight_offset + c] = weight;
        merge.gradient[norm.bias_offset + c] = bias;
    }
}

static struct merging merging_of(const struct batch_norm *norm, const struct tensor *z,
                                 const struct slice *slice) {
    struct merging merge = {};
    merge.norm = *norm, merge.kept = z->kept;
    merge.segments = slice->device_segments, merge.count = slice->count;
    merge.gradient = slice->gradient;
    merge.team = WARPS;
    while (norm->mode == NORM_PER_GROUP && merge.team > 1 && merge.team * slice->count > WARPS)
        merge.team /= 2;
    return merge;
}

enum status cuda_batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                                    const struct slice *slice) {
    constexpr int THREADS = 128;
    if (norm->mode == NORM_FIXED) {
        LAUNCH(given_kernel, pieces(norm->channels, THREADS), THREADS, 0, cuda_stream(), *norm);
        return cuda_launched("batch_norm_given");
    }
    LAUNCH(forward_kernel, pieces(norm->channels, WARP), dim3(WARP, WARPS), 0, cuda_stream(),
           merging_of(norm, z, slice));
    return cuda_launched("batch_norm_forward");
}

enum status cuda_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                     const struct slice *slice) {
    LAUNCH(backward_kernel, pieces(norm->channels, WARP), dim3(WARP, WARPS), 0, cuda_stream(),
           merging_of(norm, z, slice));
    return cuda_launched("batch_norm_backward");
}
