/* Depthwise convolution, backward: depthwise.cuh says how the work is cut.
 *
 * Input gradient and weight gradient are made of the same products' places: input pixel, tap, pixel
 * of dz. So one pass does both: a strip owns input columns, keeps the K rows of them that the
 * current row of dz reaches, and reads dy, z and the input once.
 */
#include "depthwise.cuh"

namespace {

constexpr int THREADS = 128, CHUNK = 32 /* channels of a block */;

struct backward {
    struct device_view input;
    struct view_gradient gradient;
    struct tensor output, output_gradient;
    struct norm_view norm; /* of the output */
    const float *prepared;
    const int *kernels;
    const struct segment *segments;
    float *partial; /* [segment][part][tap, or bias][weight_ld] */
    int kernel, channels;
    int parts; /* with pixels */
    int with_bias;
};

/* What stands behind the taps in partial. */
static __device__ __forceinline__ float *partial_at(const struct backward &op, int segment,
                                                    int part, int tap) {
    size_t row = (size_t)(segment * op.parts + part) * (op.kernel * op.kernel + 1) + tap;
    return op.partial + row * weight_ld(op.channels);
}

static __device__ __forceinline__ constexpr int floor_divided(int value, int by) {
    return (value + 16 * by) / by - 16;
}

/* One channel's strip: K x K taps, P input columns. */
template <class T, int K, int S, int P> struct slide {
    static constexpr int PAD = K / 2, LEFT = PAD / S;
    static constexpr int COLUMNS = (P - 1 + PAD) / S + LEFT + 1; /* of dz */
    typedef typename few<T, 1>::word word;

    const struct backward *op;
    const float *shared; /* [tap][CHUNK] */
    int lane;
    float scale, shift, mean, grad_y, grad_z, grad_one;
    int ld, ld_gradient, ld_z, ld_dy, height, columns, height_out, columns_out;

    float made[K][P], seen[K][P]; /* rows of the input's gradient, of the input */
    float weight_gradient[K * K], bias_gradient, sum, product;
    int count;
    word raw[S][P], raw_dy[COLUMNS], raw_z[COLUMNS];

    struct place_in_image {
        const T *input, *z, *dy;
        T *gradient;
        int top, bottom, left;
    };

    __device__ __forceinline__ void load_input(const struct place_in_image &at, int row,
                                               word (&into)[P]) const {
        if (row < at.top || row >= at.bottom)
            return;
        int step = anew(ld);
        const T *from = at.input + (ptrdiff_t)(row * columns + at.left) * step;
#pragma unroll
        for (int p = 0; p < P; p++)
            if (at.left + p < columns)
                into[p] = *reinterpret_cast<const word *>(from + p * step);
    }

    __device__ __forceinline__ void load_dz(const struct place_in_image &at, int row) {
        if (row < 0 || row >= height_out)
            return;
        int left = at.left / S - LEFT;
        int step_dy = anew(ld_dy), step_z = anew(ld_z);
        const T *dy = at.dy + (ptrdiff_t)(row * columns_out + left) * step_dy;
        const T *z = at.z + (ptrdiff_t)(row * columns_out + left) * step_z;
#pragma unroll
        for (int n = 0; n < COLUMNS; n++)
            if ((unsigned)(left + n) < (unsigned)columns_out) {
                raw_dy[n] = *reinterpret_cast<const word *>(dy + n * step_dy);
                raw_z[n] = *reinterpret_cast<const word *>(z + n * step_z);
            }
    }

    /* The rows that the next row of dz reaches. */
    __device__ __forceinline__ void next_rows() {
#pragma unroll
        for (int q = 0; q < K; q++)
#pragma unroll
            for (int p = 0; p < P; p++) {
                made[q][p] = q + S < K ? made[q + S][p] : 0.0f;
                seen[q][p] = q + S < K ? seen[q + S][p] : 0.0f;
            }
    }

    __device__ __forceinline__ void see_row(const struct place_in_image &at, int row, int j) {
        float(&into)[P] = seen[K - S + j];
        if (row < at.top || row >= at.bottom)
            return;
        float x[P][1];
#pragma unroll
        for (int p = 0; p < P; p++) {
            widen(x[p], raw[j][p]);
            x[p][0] = fmaf(scale, x[p][0], shift);
        }
        activate_all(op->input.activation, x);
#pragma unroll
        for (int p = 0; p < P; p++)
            into[p] = at.left + p < columns ? x[p][0] : 0.0f;
    }

    __device__ __forceinline__ void make_dz(const struct place_in_image &at, float (&dz)[COLUMNS]) {
        int left = at.left / S - LEFT;
#pragma unroll
        for (int n = 0; n < COLUMNS; n++) {
            float dy[1], z[1];
            widen(dy, raw_dy[n]), widen(z, raw_z[n]);
            float made_dz = fmaf(grad_y, dy[0], fmaf(grad_z, z[0], grad_one));
            dz[n] = (unsigned)(left + n) < (unsigned)columns_out ? made_dz : 0.0f;
        }
    }

    __device__ __forceinline__ void add_row(const float (&dz)[COLUMNS]) {
        int at = anew(lane);
#pragma unroll
        for (int q = 0; q < K; q++)
#pragma unroll
            for (int kx = 0; kx < K; kx++) {
                const int t = q * K + kx;
                float weight = shared[t * CHUNK + at];
#pragma unroll
                for (int p = 0; p < P; p++) {
                    const int far = p + PAD - kx + 16 * S; /* kept positive */
                    if (far % S != 0)
                        continue;
                    float d = dz[far / S - 16 + LEFT];
                    made[q][p] = fmaf(weight, d, made[q][p]);
                    weight_gradient[t] = fmaf(seen[q][p], d, weight_gradient[t]);
                }
            }
    }

    /* A bias sees each pixel of dz once: where its centre is the strip's own. */
    __device__ __forceinline__ void add_bias(const float (&dz)[COLUMNS]) {
#pragma unroll
        for (int n = 0; n < (P + S - 1) / S; n++)
            bias_gradient += dz[n + LEFT];
    }

    __device__ __forceinline__ void leave_row(const struct place_in_image &at, int row,
                                              const float (&da)[P], const word (&raw_input)[P]) {
        const struct view_gradient &gradient = op->gradient;
        if (row < at.top || row >= at.bottom || gradient.tensor.data == NULL)
            return;
        float z[P], slope[P];
#pragma unroll
        for (int p = 0; p < P; p++) {
            float value[1];
            widen(value, raw_input[p]);
            z[p] = value[0], slope[p] = fmaf(scale, value[0], shift);
        }
        slopes(gradient.through ? op->input.activation : ACTIVATION_NONE, slope);
        int step = anew(ld_gradient);
        T *to = at.gradient + (ptrdiff_t)(row * columns + at.left) * step;
#pragma unroll
        for (int p = 0; p < P; p++) {
            if (at.left + p >= columns)
                continue;
            word *into = reinterpret_cast<word *>(to + p * step);
            float value[1] = {da[p] * slope[p]};
            if (gradient.accumulate) {
                float before[1];
                widen(before, *into);
                value[0] += before[0];
            }
            word narrowed;
            narrow(&narrowed, value);
            *into = narrowed;
            widen(value, narrowed);
            sum += value[0];
            product = fmaf(value[0], z[p] - mean, product);
        }
    }

    __device__ __forceinline__ void run(const struct place_in_image &at) {
#pragma unroll
        for (int q = 0; q < K; q++)
#pragma unroll
            for (int p = 0; p < P; p++)
                made[q][p] = seen[q][p] = 0.0f;
        count += (at.bottom - at.top) * min(P, columns - at.left);
        int row = floor_divided(at.top - PAD + S - 1, S);
        int end = (at.bottom - 1 + PAD) / S + 1;
        load_dz(at, row);
#pragma unroll
        for (int j = 0; j < S; j++)
            load_input(at, S * row - PAD + K - S + j, raw[j]);
#pragma unroll 1
        for (; row < end; row++) {
            int first = S * row - PAD; /* input row of the first slot */
            word raw_left[S][P];
            next_rows();
#pragma unroll
            for (int j = 0; j < S; j++) {
                see_row(at, first + K - S + j, j);
                load_input(at, first + K + j, raw[j]);
                load_input(at, first + j, raw_left[j]);
            }
            if (row >= 0 && row < height_out) {
                float dz[COLUMNS];
                make_dz(at, dz);
                load_dz(at, row + 1);
                add_row(dz);
                if (op->with_bias && S * row >= at.top && S * row < at.bottom)
                    add_bias(dz);
            } else {
                load_dz(at, row + 1);
            }
#pragma unroll
            for (int j = 0; j < S; j++)
                leave_row(at, first + j, made[j], raw_left[j]);
        }
    }

    /* What all units share. */
    __device__ __forceinline__ void begin(const struct backward *op_, const struct segment &segment,
                                          const struct place &place, const float *taps) {
        op = op_, shared = taps, lane = place.lane;
        int channel = place.first + place.lane;
        const struct norm_view &in = op->input.norm, &out = op->norm;
        size_t at = in.row(segment) + channel;
        scale = in.scale != NULL ? in.scale[at] : 1.0f;
        shift = in.scale != NULL ? in.shift[at] : 0.0f;
        mean = in.scale != NULL && op->gradient.sums.parts > 0 ? in.mean[at] : 0.0f;
        bool behind_norm = out.scale != NULL;
        at = out.row(segment) + channel;
        grad_y = behind_norm ? out.grad_y[at] : 1.0f;
        grad_z = behind_norm ? out.grad_z[at] : 0.0f;
        grad_one = behind_norm ? out.grad_one[at] : 0.0f;
#pragma unroll
        for (int t = 0; t < K * K; t++)
            weight_gradient[t] = 0.0f;
        bias_gradient = sum = product = 0.0f, count = 0;
#pragma unroll
        for (int n = 0; n < COLUMNS; n++)
            raw_dy[n] = raw_z[n] = word{};
        ld = tensor_ld(&op->input.z, &segment);
        ld_dy = tensor_ld(&op->output_gradient, &segment);
        ld_z = behind_norm ? tensor_ld(&op->output, &segment) : ld_dy;
        ld_gradient =
            op->gradient.tensor.data != NULL ? tensor_ld(&op->gradient.tensor, &segment) : 0;
        height = op->input.z.height, columns = op->input.z.width;
        height_out = op->output.height, columns_out = op->output.width;
    }
};

/* A value of every thread, summed over the strips for channel c of the chunk. */
static __device__ __forceinline__ float over_strips(const float *values, const struct place &place,
                                                    int c) {
    float sum = 0.0f;
    for (int s = 0; s < place.strips; s++)
        sum += values[s * place.width + c];
    return sum;
}

/* shared: [tap, bias, sum, product][thread], [strip]. */
template <class T, int K, int S, int P>
__device__ void leave_sums(const struct backward &op, const struct segment &segment,
                           const struct place &place, const slide<T, K, S, P> &slide, int kept,
                           float *shared) {
    constexpr int BIAS = K * K, SUM = BIAS + 1, PRODUCT = BIAS + 2, COUNTS = BIAS + 3;
    float *counts = shared + COUNTS * THREADS;
    int part = (int)blockIdx.y, kernel = op.kernels[segment.group];
    __syncthreads();
#pragma unroll
    for (int t = 0; t < K * K; t++)
        shared[t * THREADS + threadIdx.x] = slide.weight_gradient[t];
    shared[BIAS * THREADS + threadIdx.x] = slide.bias_gradient;
    shared[SUM * THREADS + threadIdx.x] = slide.sum;
    shared[PRODUCT * THREADS + threadIdx.x] = slide.product;
    if (place.lane == 0 && place.strip < place.strips)
        counts[place.strip] = (float)slide.count;
    __syncthreads();

    for (int i = (int)threadIdx.x; i < (BIAS + 1) * place.width; i += THREADS) {
        int t = i / place.width, c = i % place.width;
        int full = t == BIAS ? op.kernel * op.kernel : full_tap(t / K, t % K, K, kernel, op.kernel);
        if (full >= 0)
            partial_at(op, (int)blockIdx.z, part, full)[place.first + c] =
                over_strips(shared + t * THREADS, place, c);
    }
    int c = (int)threadIdx.x;
    if (op.gradient.sums.parts == 0 || c >= place.width)
        return;
    float count = 0.0f;
    for (int s = 0; s < place.strips; s++)
        count += counts[s];
    if (c == 0 && place.first == 0)
        *op.gradient.sums.count_at(segment, part) = count;
    if (count == 0.0f || place.first + c >= kept)
        return;
    op.gradient.sums.at(segment, part, 0)[place.first + c] =
        over_strips(shared + SUM * THREADS, place, c);
    op.gradient.sums.at(segment, part, 1)[place.first + c] =
        over_strips(shared + PRODUCT * THREADS, place, c);
}

template <class T, int K, int S, int P>
__device__ void backward_part(const struct backward &op, const struct segment &segment, int kept,
                              float *shared) {
    struct place place = place_of(kept, CHUNK, 1);
    if (place.width == 0)
        return;
    int kernel = op.kernels[segment.group];
    struct slide<T, K, S, P> slide;
    for (int i = (int)threadIdx.x; i < K * K * place.width; i += THREADS) {
        int t = i / place.width, full = full_tap(t / K, t % K, K, kernel, op.kernel);
        size_t at = (size_t)full * weight_ld(op.channels) + place.first + i % place.width;
        shared[t * CHUNK + i % place.width] = full < 0 ? 0.0f : op.prepared[at];
    }
    __syncthreads();
    slide.begin(&op, segment, place, shared);
    struct units units = units_of(segment.images, op.input.z.height, op.input.z.width, P,
                                  place.strips, (int)blockIdx.y, op.parts);
    int channel = place.first + place.lane;
    if (place.strip < place.strips && channel < kept) {
#pragma unroll 1
        for (int u = units.begin + place.strip; u < units.end; u += place.strips) {
            struct unit unit = unit_at(units, u);
            size_t in = (size_t)unit.image * slide.height * slide.columns;
            size_t out = (size_t)unit.image * slide.height_out * slide.columns_out;
            typename decltype(slide)::place_in_image at;
            at.input = segment_data<T>(op.input.z, segment) + in * slide.ld + channel;
            at.gradient = op.gradient.tensor.data == NULL
                              ? NULL
                              : segment_data<T>(op.gradient.tensor, segment) +
                                    in * slide.ld_gradient + channel;
            at.dy = segment_data<T>(op.output_gradient, segment) + out * slide.ld_dy + channel;
            at.z = op.norm.scale == NULL
                       ? at.dy /* its factor is 0 */
                       : segment_data<T>(op.output, segment) + out * slide.ld_z + channel;
            at.top = unit.top, at.bottom = unit.bottom, at.left = unit.left;
            slide.run(at);
        }
    }
    leave_sums(op, segment, place, slide, kept, shared);
}

/* On a multiprocessor: as many as have registers enough. */
static constexpr int blocks_at_once(int most, int stride, size_t element) {
    return most == 7 ? 2 : most == 3 && stride == 1 && element == 2 ? 4 : 3;
}

/* MOST: the largest kernel kept, 3 or 5. Those of 7 x 7 need so many registers that they are a
 * launch of their own, which does nothing for other groups. */
template <class T, int MOST, int S>
__global__ void __launch_bounds__(THREADS, blocks_at_once(MOST, S, sizeof(T)))
    depthwise_backward(const struct backward op) {
    __shared__ float shared[(MOST * MOST + 3) * THREADS + THREADS / LANES];
    const struct segment segment = op.segments[blockIdx.z];
    int kept = op.output.kept[segment.group], kernel = op.kernels[segment.group];
    if (MOST < 7)
        no_pixels(op.gradient.sums, segment, kept == 0 ? 0 : op.parts);
    if (kept == 0)
        return;
    if ((kernel == 7) != (MOST == 7))
        return;
    if constexpr (MOST == 7)
        backward_part<T, 7, S, 4>(op, segment, kept, shared);
    else if (MOST == 5 && kernel == 5)
        backward_part<T, MOST, S, 4>(op, segment, kept, shared);
    else
        backward_part<T, 3, S, 4>(op, segment, kept, shared);
}

enum {
    SUMMERS = 32, /* threads that share the partials of an element */
    AT_ONCE = 8   /* loads of each under way */
};

/* One row (a tap, or the bias) of 32 channels a block: all segments' partials, in fixed order. */
__global__ void __launch_bounds__(WARP *SUMMERS)
    add_partials(const struct backward op, int segments, float *weight, float *bias) {
    __shared__ float shared[SUMMERS][WARP];
    int taps = op.kernel * op.kernel, tap = (int)blockIdx.y;
    int up = abs(tap / op.kernel - op.kernel / 2), right = abs(tap % op.kernel - op.kernel / 2);
    int reach = tap == taps ? 0 : max(up, right);
    int channel = (int)(blockIdx.x * WARP + threadIdx.x);
    float sum = 0.0f;
    int parts = segments * op.parts;
    for (int first = (int)threadIdx.y; first < parts; first += SUMMERS * AT_ONCE) {
        float part[AT_ONCE];
        bool keeps[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) { /* no condition holds a load up */
            int i = min(first + j * SUMMERS, parts - 1), s = i / op.parts;
            int group = op.segments[s].group;
            part[j] = partial_at(op, s, i % op.parts, tap)[min(channel, op.channels - 1)];
            keeps[j] = first + j * SUMMERS < parts && channel < op.output.kept[group] &&
                       reach <= op.kernels[group] / 2;
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++)
            sum += keeps[j] ? part[j] : 0.0f;
    }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || channel >= op.channels)
        return;
    for (int i = 1; i < SUMMERS; i++)
        sum += shared[i][threadIdx.x];
    float *into = tap == taps ? bias + channel : weight + (size_t)channel * taps + tap;
    *into += sum;
}

template <class T, int S> void launch(const struct backward &op, dim3 grid) {
    if (op.kernel >= 5)
        LAUNCH((depthwise_backward<T, 5, S>), grid, THREADS, 0, cuda_stream(), op);
    else
        LAUNCH((depthwise_backward<T, 3, S>), grid, THREADS, 0, cuda_stream(), op);
    if (op.kernel == 7)
        LAUNCH((depthwise_backward<T, 7, S>), grid, THREADS, 0, cuda_stream(), op);
}

static size_t partial_bytes(const struct convolution *convolution) { /* of one part */
    return (size_t)(convolution->kernel * convolution->kernel + 1) *
           weight_ld(convolution->output.channels) * sizeof(float);
}

} /* namespace */

template <class T> size_t cuda_depthwise_scratch(const struct convolution *convolution) {
    enum { LEAST_PARTS = 32 };
    int parts = WORKING_BLOCKS / pieces(convolution->output.channels, CHUNK);
    return partial_bytes(convolution) * (parts > LEAST_PARTS ? parts : (int)LEAST_PARTS);
}

template <class T>
enum status cuda_depthwise_backward(const struct convolution *convolution,
                                    const struct slice *slice) {
    struct backward op = {};
    op.input = device_view_of(&convolution->input);
    op.gradient = view_gradient_of(&convolution->input);
    op.output = convolution->output, op.output_gradient = *convolution->output_gradient;
    op.norm = norm_view_of(convolution->norm);
    op.prepared = convolution->prepared, op.kernels = convolution->kernels;
    op.partial = (float *)slice->scratch;
    op.kernel = convolution->kernel, op.channels = convolution->output.channels;
    op.with_bias = convolution->bias != NULL;

    /* As many segments at a time as scratch has partials for. */
    int room = (int)(cuda_depthwise_scratch<T>(convolution) / partial_bytes(convolution));
    for (int first = 0; first < slice->count; first += room) {
        int count = slice->count - first < room ? slice->count - first : room;
        op.segments = slice->device_segments + first;
        op.parts = working_parts(count, op.channels, CHUNK, op.gradient.sums.parts);
        dim3 grid(pieces(op.channels, CHUNK), op.parts, count);
        if (convolution->stride == 1)
            launch<T, 1>(op, grid);
        else
            launch<T, 2>(op, grid);
        int rows = op.kernel * op.kernel + op.with_bias;
        LAUNCH(add_partials, dim3(pieces(op.channels, WARP), rows), dim3(WARP, SUMMERS), 0,
               cuda_stream(), op, count, slice->gradient + convolution->weight_offset,
               slice->gradient + convolution->bias_offset);
    }
    return cuda_launched("depthwise_backward");
}

#define INSTANCES(T)                                                                               \
    template size_t cuda_depthwise_scratch<T>(const struct convolution *);                         \
    template enum status cuda_depthwise_backward<T>(const struct convolution *,                    \
                                                    const struct slice *);
INSTANCES(float)
INSTANCES(bf16)
