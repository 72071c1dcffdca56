/* Batch-norm's rows from what the parts of the segments have left behind.
 *
 * A block has eight channels, as many as memory hands out at once, and all domains. A team of rows
 * (of threads, one per channel) shares a domain's parts; as many teams as fit work on as many
 * domains at once. For the sums over a team the block turns by a quarter: warp w takes channel w,
 * its lanes the rows' results. Merging follows a fixed tree. The launch is as long as its chain of
 * dependent loads: segments go to shared memory first, and many parts are under way at once. */
#include "cuda_ops.h"

enum {
    CHANNELS = 8,
    ROWS = WARP,
    THREADS = CHANNELS * ROWS,
    UNDER_WAY = 16 /* parts of a thread */
};

struct merging {
    struct batch_norm norm;
    const int *kept; /* of z */
    const struct segment *segments;
    int count;
    int team; /* rows to a domain, a power of two */
    float *gradient;
};

/* What the block needs of every segment. */
struct known_segment {
    int group, index, kept;
};

static __device__ __forceinline__ void know_segments(struct known_segment *known,
                                                     const struct merging &merge) {
    for (int i = (int)(threadIdx.y * CHANNELS + threadIdx.x); i < merge.count; i += THREADS) {
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
    float value[3]; /* count, mean, squares */

    __device__ __forceinline__ void merge(const struct moments &other) {
        float count = value[0], total = count + other.value[0];
        if (other.value[0] == 0)
            return;
        float share = other.value[0] / total, away = other.value[1] - value[1];
        value[0] = total;
        value[1] += away * share;
        value[2] += other.value[2] + away * away * count * share;
    }
};

struct sums {
    float value[3]; /* count, sum of dy, sum of dy (z - mean) */

    __device__ __forceinline__ void merge(const struct sums &other) {
        for (int i = 0; i < 3; i++)
            value[i] += other.value[i];
    }
};

/* A thread's parts of a domain, merged in order. */
template <class Sums>
static __device__ __forceinline__ Sums merge_parts(const struct merging &merge,
                                                   const struct known_segment *known,
                                                   const struct domain &domain, int channel) {
    Sums all = {{0, 0, 0}};
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
            Sums sums = {{part[i].pixels, part[i].first, part[i].second}};
            all.merge(sums);
        }
    }
    return all;
}

/* The block's results, [row][channel]; one column of padding keeps both directions off the same
 * banks. */
struct turning {
    float at[3][ROWS][CHANNELS + 1];
};

/* Where a thread stands once the block has turned: a channel per warp, a row per lane. */
struct turned {
    int channel, row;
};

static __device__ __forceinline__ struct turned turned_thread() {
    int thread = (int)(threadIdx.y * CHANNELS + threadIdx.x);
    return {thread / WARP, thread % WARP};
}

/* Every thread brings the sums of (its row, its channel) and leaves with the merged sums of the
 * team of its turned row, for its turned channel: valid in the first row of each team. */
template <class Sums>
static __device__ __forceinline__ Sums merge_team(struct turning &room, int team, Sums mine) {
    struct turned turned = turned_thread();
    __syncthreads();
    for (int i = 0; i < 3; i++)
        room.at[i][threadIdx.y][threadIdx.x] = mine.value[i];
    __syncthreads();
    Sums all;
    for (int i = 0; i < 3; i++)
        all.value[i] = room.at[i][turned.row][turned.channel];
    for (int step = 1; step < team; step *= 2) {
        Sums other;
        for (int i = 0; i < 3; i++)
            other.value[i] = __shfl_xor_sync(0xffffffffu, all.value[i], step);
        all.merge(other);
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
static __global__ void __launch_bounds__(THREADS) forward_kernel(const struct merging merge) {
    __shared__ struct turning room;
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    struct turned turned = turned_thread();
    int first_channel = (int)blockIdx.x * CHANNELS, teams = ROWS / merge.team;
    int channel = first_channel + (int)threadIdx.x, c = first_channel + turned.channel;
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, known, start + (int)threadIdx.y / merge.team);
        struct moments all = merge_team(room, merge.team,
                                        merge_parts<struct moments>(merge, known, domain, channel));
        domain = domain_at(merge, known, start + turned.row / merge.team);
        if (turned.row % merge.team != 0 || domain.count == 0 || c >= norm.channels)
            continue;
        float count = all.value[0], mean = all.value[1];
        float variance = count > 0 ? all.value[2] / count : 0;
        size_t at = domain.row + c;
        norm.mean[at] = mean;
        norm.variance[at] = variance;
        if (count > 0)
            set_scale(norm, domain.row, c, mean, variance);
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
    float count = sums.value[0], dy = sums.value[1];
    float inverse = 1 / sqrtf(norm.variance[at] + norm.epsilon);
    float scale = norm.weight[c] * inverse, dy_zhat = sums.value[2] * inverse;
    float grad_z = -scale * inverse * dy_zhat / count;
    norm.grad_y[at] = scale;
    norm.grad_z[at] = grad_z;
    norm.grad_one[at] = -scale * dy / count - grad_z * norm.mean[at];
    return dy_zhat;
}

static __global__ void __launch_bounds__(THREADS) backward_kernel(const struct merging merge) {
    __shared__ struct turning room;
    DYNAMIC_SHARED(struct known_segment, known);
    const struct batch_norm &norm = merge.norm;
    know_segments(known, merge);
    struct turned turned = turned_thread();
    int first_channel = (int)blockIdx.x * CHANNELS, teams = ROWS / merge.team;
    int channel = first_channel + (int)threadIdx.x, c = first_channel + turned.channel;
    float weight = 0, bias = 0; /* over the domains, in the first row */
    for (int start = 0; start < merge.count; start += teams) {
        struct domain domain = domain_at(merge, known, start + (int)threadIdx.y / merge.team);
        struct sums all =
            merge_team(room, merge.team, merge_parts<struct sums>(merge, known, domain, channel));
        domain = domain_at(merge, known, start + turned.row / merge.team);
        float dy_zhat = 0, dy = 0;
        if (turned.row % merge.team == 0 && domain.count > 0 && c < norm.channels) {
            size_t at = domain.row + c;
            if (all.value[0] > 0)
                dy_zhat = set_gradient(norm, at, c, all), dy = all.value[1];
            else
                norm.grad_y[at] = norm.grad_z[at] = norm.grad_one[at] = 0;
        }
        for (int step = merge.team; step < ROWS; step *= 2) {
            dy_zhat += __shfl_xor_sync(0xffffffffu, dy_zhat, step);
            dy += __shfl_xor_sync(0xffffffffu, dy, step);
        }
        weight += dy_zhat, bias += dy;
    }
    if (turned.row == 0 && c < norm.channels) {
        merge.gradient[norm.weight_offset + c] += weight;
        merge.gradient[norm.bias_offset + c] += bias;
    }
}

static struct merging merging_of(const struct batch_norm *norm, const struct tensor *z,
                                 const struct slice *slice) {
    struct merging merge = {};
    merge.norm = *norm, merge.kept = z->kept;
    merge.segments = slice->device_segments, merge.count = slice->count;
    merge.gradient = slice->gradient;
    merge.team = ROWS;
    while (norm->mode == NORM_PER_GROUP && merge.team > 1 && merge.team * slice->count > ROWS)
        merge.team /= 2;
    return merge;
}

enum status cuda_batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                                    const struct slice *slice) {
    if (norm->mode == NORM_FIXED) {
        LAUNCH(given_kernel, pieces(norm->channels, THREADS), THREADS, 0, cuda_stream(), *norm);
        return cuda_launched("batch_norm_given");
    }
    LAUNCH(forward_kernel, pieces(norm->channels, CHANNELS), dim3(CHANNELS, ROWS),
           slice->count * sizeof(struct known_segment), cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_forward");
}

enum status cuda_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                     const struct slice *slice) {
    LAUNCH(backward_kernel, pieces(norm->channels, CHANNELS), dim3(CHANNELS, ROWS),
           slice->count * sizeof(struct known_segment), cuda_stream(), merging_of(norm, z, slice));
    return cuda_launched("batch_norm_backward");
}
