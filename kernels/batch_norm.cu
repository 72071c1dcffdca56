/* Batch-norm's rows from what the parts of the segments have left behind.
 *
 * A block has 32 channels (lanes, while parts are read) and all domains. A team of warps shares a
 * domain's parts; as many teams as fit work on as many domains at once. For the sums over a team
 * the block turns by a quarter: warp w takes channel w, its lanes the warps' results. Merging
 * follows a fixed tree. The launch is as long as its chain of dependent loads: segments go to
 * shared memory first, and many parts are under way at once. */
#include "cuda_ops.h"

enum { WARPS = 32 /* of a block */, UNDER_WAY = 8 /* parts of a thread */ };

struct merging {
    struct batch_norm norm;
    const int *kept; /* of z */
    const struct segment *segments;
    int count;
    int team; /* warps to a domain, a power of two */
    float *gradient;
};

/* What the block needs of every segment. */
struct known_segment {
    int group, index, kept;
};

static __device__ __forceinline__ void know_segments(struct known_segment *known,
                                                     const struct merging &merge) {
    for (int i = (int)(threadIdx.y * WARP + threadIdx.x); i < merge.count; i += WARPS * WARP) {
        struct segment segment = merge.segments[i];
        known[i].group = segment.group;
        known[i].index = segment.index;
        known[i].kept = merge.kept[segment.group];
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

static __device__ __forceinline__ struct part
part_of(const struct merging &merge, const struct known_segment *known, int index, int channel) {
    int parts = merge.norm.parts, which = index / parts;
    size_t row = (size_t)known[which].index * parts + (index - which * parts);
    const float *sums = (const float *)merge.norm.partial + row * 2 * merge.norm.stride + channel;
    struct part part = {((const float *)merge.norm.row_count)[row], sums[0],
                        sums[merge.norm.stride]};
    /* Nothing stands in the sums of an empty part or of a dropped channel. */
    if (part.pixels == 0 || channel >= known[which].kept)
        part.pixels = part.first = part.second = 0;
    return part;
}

/* Sets of values by their mean and squares about it (Chan, Golub, LeVeque 1979). */
struct moments {
    float count, mean, squares;

    __device__ __forceinline__ void merge(const struct moments &other) {
        float total = count + other.count;
        if (other.count == 0)
            return;
        float share = other.count / total, away = other.mean - mean;
        mean += away * share;
        squares += other.squares + away * away * count * share;
        count = total;
    }
};

/* Sums of dy and dy (z - mean). */
struct sums {
    float count, dy, dy_z;

    __device__ __forceinline__ void merge(const struct sums &other) {
        count += other.count, dy += other.dy, dy_z += other.dy_z;
    }
};

/* A thread's parts of a domain, merged in order. Both structs are three floats. */
template <class Sums>
static __device__ __forceinline__ Sums merge_parts(const struct merging &merge,
                                                   const struct known_segment *known,
                                                   const struct domain &domain, int channel) {
    Sums all = {0, 0, 0};
    int member = (int)threadIdx.y % merge.team;
    int parts = channel < merge.norm.channels ? domain.count * merge.norm.parts : 0;
    for (int first = member; first < parts; first += UNDER_WAY * merge.team) {
        struct part part[UNDER_WAY];
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++) {
            int index = first + i * merge.team;
            part[i] = part_of(merge, known + domain.first, index < parts ? index : first, channel);
            if (index >= parts)
                part[i].pixels = part[i].first = part[i].second = 0;
        }
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++) {
            Sums sums = {part[i].pixels, part[i].first, part[i].second};
            all.merge(sums);
        }
    }
    return all;
}

/* The block's results, [warp][channel]; one column of padding keeps both directions off the same
 * banks. */
struct turning {
    float at[3][WARPS][WARP + 1];
};

/* Every thread brings the sums of (its warp, its lane's channel) and leaves with the merged sums of
 * (its lane's team, its warp's channel): valid in the first lane of each team. */
template <class Sums>
static __device__ __forceinline__ Sums merge_team(struct turning &room, int team, Sums mine) {
    int warp = (int)threadIdx.y, lane = (int)threadIdx.x;
    __syncthreads();
    const float *values = reinterpret_cast<const float *>(&mine);
    for (int i = 0; i < 3; i++)
        room.at[i][warp][lane] = values[i];
    __syncthreads();
    float turned[3];
    for (int i = 0; i < 3; i++)
        turned[i] = room.at[i][lane][warp];
    Sums all = {turned[0], turned[1], turned[2]};
    for (int step = 1; step < team; step *= 2) {
        float other[3];
        const float *own = reinterpret_cast<const float *>(&all);
        for (int i = 0; i < 3; i++)
            other[i] = __shfl_xor_sync(0xffffffffu, own[i], step);
        Sums theirs = {other[0], other[1], other[2]};
        all.merge(theirs);
    }
    return all;
}

static __device__ __forceinline__ void set_scale(const struct batch_norm &norm, size_t row, int c,
                                                 float mean, float variance) {
    float scale = norm.weight[c] / sqrtf(variance + norm.epsilon);
    norm.scale[row + c] = scale;
    norm.shift[row + c] = norm.bias[c] - mean * scale;
}

/* A channel that nobody keeps gets a row of zeros. */
static __global__ void __launch_bounds__(WARPS *WARP, 1)
    forward_kernel(const struct merging merge) {
    __shared__ struct turning room;
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    int first_channel = (int)blockIdx.x * WARP, teams = WARPS / merge.team;
    int channel = first_channel + (int)threadIdx.x, turned = first_channel + (int)threadIdx.y;
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, known, start + (int)threadIdx.y / merge.team);
        struct moments all = merge_team(room, merge.team,
                                        merge_parts<struct moments>(merge, known, domain, channel));
        domain = domain_at(merge, known, start + (int)threadIdx.x / merge.team);
        if (threadIdx.x % merge.team != 0 || domain.count == 0 || turned >= norm.channels)
            continue;
        float variance = all.count > 0 ? all.squares / all.count : 0;
        size_t at = domain.row + turned;
        norm.mean[at] = all.mean;
        norm.variance[at] = variance;
        if (all.count > 0)
            set_scale(norm, domain.row, turned, all.mean, variance);
        else
            norm.scale[at] = norm.shift[at] = 0;
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
static __device__ __forceinline__ float set_gradient(const struct batch_norm &norm, size_t at,
                                                     int c, const struct sums &sums) {
    float inverse = 1 / sqrtf(norm.variance[at] + norm.epsilon);
    float scale = norm.weight[c] * inverse, dy_zhat = sums.dy_z * inverse;
    float grad_z = -scale * inverse * dy_zhat / sums.count;
    norm.grad_y[at] = scale;
    norm.grad_z[at] = grad_z;
    norm.grad_one[at] = -scale * sums.dy / sums.count - grad_z * norm.mean[at];
    return dy_zhat;
}

static __global__ void __launch_bounds__(WARPS *WARP, 1)
    backward_kernel(const struct merging merge) {
    __shared__ struct turning room;
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    int first_channel = (int)blockIdx.x * WARP, teams = WARPS / merge.team;
    int channel = first_channel + (int)threadIdx.x, turned = first_channel + (int)threadIdx.y;
    float weight = 0, bias = 0; /* over the domains, in the first lane of the warp */
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, known, start + (int)threadIdx.y / merge.team);
        struct sums all =
            merge_team(room, merge.team, merge_parts<struct sums>(merge, known, domain, channel));
        domain = domain_at(merge, known, start + (int)threadIdx.x / merge.team);
        float dy_zhat = 0, dy = 0;
        if (threadIdx.x % merge.team == 0 && domain.count > 0 && turned < norm.channels) {
            size_t at = domain.row + turned;
            if (all.count > 0)
                dy_zhat = set_gradient(norm, at, turned, all), dy = all.dy;
            else
                norm.grad_y[at] = norm.grad_z[at] = norm.grad_one[at] = 0;
        }
        for (int step = merge.team; step < WARP; step *= 2) {
            dy_zhat += __shfl_xor_sync(0xffffffffu, dy_zhat, step);
            dy += __shfl_xor_sync(0xffffffffu, dy, step);
        }
        weight += dy_zhat, bias += dy;
    }
    if (threadIdx.x == 0 && turned < norm.channels) {
        merge.gradient[norm.weight_offset + turned] += weight;
        merge.gradient[norm.bias_offset + turned] += bias;
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
    enum { THREADS = 128 };
    if (norm->mode == NORM_FIXED) {
        LAUNCH(given_kernel, pieces(norm->channels, THREADS), THREADS, 0, cuda_stream(), *norm);
        return cuda_launched("batch_norm_given");
    }
    LAUNCH(forward_kernel, pieces(norm->channels, WARP), dim3(WARP, WARPS),
           slice->count * sizeof(struct known_segment), cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_forward");
}

enum status cuda_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                     const struct slice *slice) {
    LAUNCH(backward_kernel, pieces(norm->channels, WARP), dim3(WARP, WARPS),
           slice->count * sizeof(struct known_segment), cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_backward");
}
