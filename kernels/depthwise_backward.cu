/* Depthwise convolution, backward: depthwise.cuh says how the work is cut.
 *
 * Input gradient and weight gradient are made of the same products' places: input pixel, tap, pixel
 * of dz. So one pass does both: a strip owns input columns and keeps those rows of dz that reach
 * the current row of them; dy, z and the input are read once.
 */
#include "depthwise.cuh"

namespace {

constexpr int THREADS = 128, CHUNK = 64 /* channels of a block */;

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

/* Of the two norms, behind the taps in shared memory: they would take too many registers. */
enum shared_row { SCALE, SHIFT, MEAN, GRAD_Y, GRAD_Z, GRAD_ONE, SHARED_ROWS };

static __device__ __forceinline__ float
norm_row(const struct backward &op, const struct segment &segment, int row, int channel) {
    const struct norm_view &norm = row < GRAD_Y ? op.input.norm : op.norm;
    if (norm.scale == NULL)
        return row == SCALE || row == GRAD_Y ? 1.0f : 0.0f;
    size_t at = norm.row(segment) + channel;
    switch (row) {
    case SCALE:
        return norm.scale[at];
    case SHIFT:
        return norm.shift[at];
    case MEAN: /* only sums need it */
        return op.gradient.sums.parts > 0 ? norm.mean[at] : 0.0f;
    case GRAD_Y:
        return norm.grad_y[at];
    case GRAD_Z:
        return norm.grad_z[at];
    default:
        return norm.grad_one[at];
    }
}

/* C channels' strip: K x K taps, P input columns. A step makes the S input rows [S m, S m + S). */
template <class T, int K, int S, int C, int P> struct slide {
    static constexpr int PAD = K / 2;
    static constexpr int ABOVE = PAD / S, BELOW = (S - 1 + PAD) / S, ROWS = ABOVE + BELOW + 1;
    static constexpr int LEFT = PAD / S, WIDTH = (P - 1 + PAD) / S + LEFT + 1; /* of dz */
    typedef typename few<T, C>::word word;

    const struct backward *op;
    const float *shared;                           /* [tap, then row][CHUNK] */
    int lane;                                      /* the thread's first channel there */
    bool whole;                                    /* all of its channels are kept */
    unsigned step, step_gradient, step_z, step_dy; /* bytes of a pixel */

    __device__ __forceinline__ int height() const {
        return op->input.z.height;
    }
    __device__ __forceinline__ int columns() const {
        return op->input.z.width;
    }
    __device__ __forceinline__ int height_out() const {
        return op->output.height;
    }
    __device__ __forceinline__ int columns_out() const {
        return op->output.width;
    }

    float dz[ROWS][WIDTH][C]; /* rows m - ABOVE to m + BELOW */
    float weight_gradient[K * K][C], bias_gradient[C], sum[C], product[C];
    int count;
    word raw[S][P], raw_dy[WIDTH], raw_z[WIDTH];

    struct place_in_image {
        const T *input, *z, *dy;
        T *gradient;
        int top, bottom, left; /* of the input; rows in steps */
    };

    __device__ __forceinline__ float constant(int at, enum shared_row row, int c) const {
        return shared[(K * K + row) * CHUNK + at + c];
    }

    __device__ __forceinline__ void load_input(const struct place_in_image &at, int row,
                                               word (&into)[P]) const {
        unsigned pixel = anew((int)step);
        const T *from = along(at.input, nearest(row, height()), pixel * columns());
#pragma unroll
        for (int p = 0; p < P; p++)
            into[p] = *reinterpret_cast<const word *>(
                along(from, nearest(at.left + p, columns()), pixel));
    }

    __device__ __forceinline__ void load_dz(const struct place_in_image &at, int row) {
        unsigned pixel_dy = anew((int)step_dy), pixel_z = anew((int)step_z);
        unsigned near = nearest(row, height_out());
        const T *dy = along(at.dy, near, pixel_dy * columns_out());
        const T *z = along(at.z, near, pixel_z * columns_out());
#pragma unroll
        for (int n = 0; n < WIDTH; n++) {
            unsigned column = nearest(at.left / S - LEFT + n, columns_out());
            raw_dy[n] = *reinterpret_cast<const word *>(along(dy, column, pixel_dy));
            raw_z[n] = *reinterpret_cast<const word *>(along(z, column, pixel_z));
        }
    }

    __device__ __forceinline__ void next_dz(const struct place_in_image &at, int row) {
        bool exists = row >= 0 && row < height_out();
        int left = at.left / S - LEFT, own = anew(lane);
        float grad_y[C], grad_z[C], grad_one[C];
#pragma unroll
        for (int c = 0; c < C; c++) {
            grad_y[c] = constant(own, GRAD_Y, c);
            grad_z[c] = constant(own, GRAD_Z, c);
            grad_one[c] = constant(own, GRAD_ONE, c);
        }
#pragma unroll
        for (int n = 0; n < WIDTH; n++) {
            float dy[C], z[C];
            widen(dy, raw_dy[n]), widen(z, raw_z[n]);
#pragma unroll
            for (int c = 0; c < C; c++) {
#pragma unroll
                for (int q = 0; q + 1 < ROWS; q++)
                    dz[q][n][c] = dz[q + 1][n][c];
                dz[ROWS - 1][n][c] = fmaf(grad_y[c], dy[c], fmaf(grad_z[c], z[c], grad_one[c]));
            }
        }
        if (exists && left >= 0 && left + WIDTH <= columns_out())
            return;
#pragma unroll
        for (int n = 0; n < WIDTH; n++)
            if (!exists || (unsigned)(left + n) >= (unsigned)columns_out()) {
#pragma unroll
                for (int c = 0; c < C; c++)
                    dz[ROWS - 1][n][c] = 0.0f;
            }
    }

    /* Columns behind the image's last count for nothing. */
    __device__ __forceinline__ void blank(const struct place_in_image &at,
                                          float (&values)[P][C]) const {
        if (at.left + P <= columns())
            return;
#pragma unroll
        for (int p = 0; p < P; p++)
            if (at.left + p >= columns()) {
#pragma unroll
                for (int c = 0; c < C; c++)
                    values[p][c] = 0.0f;
            }
    }

    /* The J-th row of a step: its gradient, and what it adds to the weights'. */
    template <int J>
    __device__ __forceinline__ void add_row(const float (&seen)[P][C], float (&da)[P][C]) {
        int at = anew(lane);
#pragma unroll
        for (int ky = 0; ky < K; ky++) {
            if ((J + PAD + K * S - ky) % S != 0)
                continue;
            const int q = (J + PAD + K * S - ky) / S - K + ABOVE;
#pragma unroll
            for (int kx = 0; kx < K; kx++)
#pragma unroll
                for (int c = 0; c < C; c++) {
                    float weight = shared[(ky * K + kx) * CHUNK + at + c];
#pragma unroll
                    for (int p = 0; p < P; p++) {
                        const int far = p + PAD + K * S - kx; /* kept positive */
                        if (far % S != 0)
                            continue;
                        float d = dz[q][far / S - K + LEFT][c];
                        da[p][c] = fmaf(weight, d, da[p][c]);
                        weight_gradient[ky * K + kx][c] =
                            fmaf(seen[p][c], d, weight_gradient[ky * K + kx][c]);
                    }
                }
        }
    }

    /* A bias sees each pixel of dz once: where its centre is the strip's own. */
    __device__ __forceinline__ void add_bias() {
#pragma unroll
        for (int n = 0; n < (P + S - 1) / S; n++)
#pragma unroll
            for (int c = 0; c < C; c++)
                bias_gradient[c] += dz[ABOVE][n + LEFT][c];
    }

    /* norm(z) */
    __device__ __forceinline__ void normed(const word (&raw_z_in)[P], float (&y)[P][C]) const {
        int own = anew(lane);
#pragma unroll
        for (int p = 0; p < P; p++) {
            widen(y[p], raw_z_in[p]);
#pragma unroll
            for (int c = 0; c < C; c++)
                y[p][c] = fmaf(constant(own, SCALE, c), y[p][c], constant(own, SHIFT, c));
        }
    }

    /* What is behind the image's edge or the kept channels stays; value becomes what is stored. */
    __device__ __forceinline__ void store_with_care(T *to, bool exists, float (&value)[C]) const {
        word *into = reinterpret_cast<word *>(to), narrowed;
#pragma unroll
        for (int c = 0; c < C; c++)
            value[c] = exists ? value[c] : 0.0f;
        if (!exists)
            return;
        if (op->gradient.accumulate) {
            float before[C];
            widen(before, *into);
#pragma unroll
            for (int c = 0; c < C; c++)
                value[c] += before[c];
        }
        narrow(&narrowed, value);
        if (whole)
            *into = narrowed;
        else
            *to = from_float<T>(value[0]);
        widen(value, narrowed);
    }

    __device__ __forceinline__ void store(const struct place_in_image &at, int row,
                                          float (&da)[P][C]) const {
        unsigned pixel = anew((int)step_gradient);
        T *to = along(at.gradient, (unsigned)(row * columns() + at.left), pixel);
        bool plain = whole && at.left + P <= columns() && !op->gradient.accumulate;
        if (plain) {
#pragma unroll
            for (int p = 0; p < P; p++) {
                word narrowed;
                narrow(&narrowed, da[p]);
                *reinterpret_cast<word *>(along(to, p, pixel)) = narrowed;
                widen(da[p], narrowed);
            }
        } else {
#pragma unroll
            for (int p = 0; p < P; p++)
                store_with_care(along(to, p, pixel), at.left + p < columns(), da[p]);
        }
    }

    __device__ __forceinline__ void leave_row(const struct place_in_image &at, int row,
                                              const word (&raw_z_in)[P], float (&da)[P][C]) {
        float slope[P][C], mean[C];
        normed(raw_z_in, slope);
        slope_all(op->gradient.through ? op->input.activation : ACTIVATION_NONE, slope);
#pragma unroll
        for (int p = 0; p < P; p++)
#pragma unroll
            for (int c = 0; c < C; c++)
                da[p][c] *= slope[p][c];
        store(at, row, da);
        int own = anew(lane);
#pragma unroll
        for (int c = 0; c < C; c++)
            mean[c] = constant(own, MEAN, c);
#pragma unroll
        for (int p = 0; p < P; p++) {
            float z[C];
            widen(z, raw_z_in[p]);
#pragma unroll
            for (int c = 0; c < C; c++) {
                sum[c] += da[p][c];
                product[c] = fmaf(da[p][c], z[c] - mean[c], product[c]);
            }
        }
    }

    template <int J> __device__ __forceinline__ void row(const struct place_in_image &at, int row) {
        if (S > 1 && row >= height())
            return;
        word raw_z_in[P];
#pragma unroll
        for (int p = 0; p < P; p++)
            raw_z_in[p] = raw[J][p];
        load_input(at, row + S, raw[J]);
        float seen[P][C], da[P][C] = {};
        normed(raw_z_in, seen);
        activate_all(op->input.activation, seen);
        blank(at, seen);
        add_row<J>(seen, da);
        if (op->gradient.tensor.data != NULL)
            leave_row(at, row, raw_z_in, da);
    }

    __device__ __forceinline__ void run(const struct place_in_image &at) {
        count += (min(S * at.bottom, height()) - S * at.top) * min(P, columns() - at.left);
        load_dz(at, at.top - ABOVE);
#pragma unroll
        for (int j = 0; j < S; j++)
            load_input(at, S * at.top + j, raw[j]);
#pragma unroll 1
        for (int m = at.top - ABOVE - BELOW; m < at.bottom; m++) {
            next_dz(at, m + BELOW);
            load_dz(at, m + BELOW + 1);
            if (m < at.top)
                continue;
            if (op->with_bias)
                add_bias();
            row<0>(at, S * m);
            if constexpr (S == 2)
                row<1>(at, S * m + 1);
        }
    }

    /* What all units share. */
    __device__ __forceinline__ void begin(const struct backward *op_, const struct segment &segment,
                                          const struct place &place, const float *taps, int kept) {
        op = op_, shared = taps, lane = place.lane * C;
        whole = place.first + lane + C <= kept;
#pragma unroll
        for (int c = 0; c < C; c++) {
            bias_gradient[c] = sum[c] = product[c] = 0.0f;
#pragma unroll
            for (int t = 0; t < K * K; t++)
                weight_gradient[t][c] = 0.0f;
#pragma unroll
            for (int q = 0; q < ROWS; q++)
#pragma unroll
                for (int n = 0; n < WIDTH; n++)
                    dz[q][n][c] = 0.0f;
        }
        count = 0;
        step = tensor_ld(&op->input.z, &segment) * (unsigned)sizeof(T);
        step_dy = tensor_ld(&op->output_gradient, &segment) * (unsigned)sizeof(T);
        step_z = op->norm.scale != NULL ? tensor_ld(&op->output, &segment) * (unsigned)sizeof(T)
                                        : step_dy;
        step_gradient = op->gradient.tensor.data != NULL
                            ? tensor_ld(&op->gradient.tensor, &segment) * (unsigned)sizeof(T)
                            : 0;
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

/* shared: [tap, bias, sum, product][thread][C], [strip]. */
template <class T, int K, int S, int C, int P>
__device__ void leave_sums(const struct backward &op, const struct segment &segment,
                           const struct place &place, const slide<T, K, S, C, P> &slide, int kept,
                           float *shared) {
    constexpr int BIAS = K * K, SUM = BIAS + 1, PRODUCT = BIAS + 2, COUNTS = BIAS + 3;
    constexpr int VALUES = THREADS * C;
    float *counts = shared + COUNTS * VALUES, *mine = shared + threadIdx.x * C;
    int part = (int)blockIdx.y, kernel = op.kernels[segment.group];
    __syncthreads();
#pragma unroll
    for (int c = 0; c < C; c++) {
#pragma unroll
        for (int t = 0; t < K * K; t++)
            mine[t * VALUES + c] = slide.weight_gradient[t][c];
        mine[BIAS * VALUES + c] = slide.bias_gradient[c];
        mine[SUM * VALUES + c] = slide.sum[c];
        mine[PRODUCT * VALUES + c] = slide.product[c];
    }
    if (place.lane == 0 && place.strip < place.strips)
        counts[place.strip] = (float)slide.count;
    __syncthreads();

    for (int i = (int)threadIdx.x; i < (BIAS + 1) * place.width; i += THREADS) {
        int t = i / place.width, c = i % place.width;
        int full = t == BIAS ? op.kernel * op.kernel : full_tap(t / K, t % K, K, kernel, op.kernel);
        if (full >= 0)
            partial_at(op, (int)blockIdx.z, part, full)[place.first + c] =
                over_strips(shared + t * VALUES, place, c);
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
        over_strips(shared + SUM * VALUES, place, c);
    op.gradient.sums.at(segment, part, 1)[place.first + c] =
        over_strips(shared + PRODUCT * VALUES, place, c);
}

template <class T, int K, int S, int C, int P>
__device__ void backward_part(const struct backward &op, const struct segment &segment, int kept,
                              float *shared) {
    struct place place = place_of(kept, CHUNK, C);
    if (place.width == 0)
        return;
    int kernel = op.kernels[segment.group];
    struct slide<T, K, S, C, P> slide;
    for (int i = (int)threadIdx.x; i < (K * K + SHARED_ROWS) * place.width; i += THREADS) {
        int t = i / place.width, c = i % place.width;
        float value;
        if (t < K * K) {
            int full = full_tap(t / K, t % K, K, kernel, op.kernel);
            size_t at = (size_t)full * weight_ld(op.channels) + place.first + c;
            value = full < 0 ? 0.0f : op.prepared[at];
        } else {
            value = norm_row(op, segment, t - K * K, place.first + c);
        }
        shared[t * CHUNK + c] = value;
    }
    __syncthreads();
    slide.begin(&op, segment, place, shared, kept);
    struct units units = units_of(segment.images, (op.input.z.height + S - 1) / S, op.input.z.width,
                                  P, place.strips, (int)blockIdx.y, op.parts, slide.ROWS - 1);
    int channel = place.first + place.lane * C;
    if (place.strip < place.strips && channel < kept) {
#pragma unroll 1
        for (int u = units.begin + place.strip; u < units.end; u += place.strips) {
            struct unit unit = unit_at(units, u);
            size_t in = (size_t)unit.image * slide.height() * slide.columns();
            size_t out = (size_t)unit.image * slide.height_out() * slide.columns_out();
            typename decltype(slide)::place_in_image at;
            at.input = segment_data<T>(op.input.z, segment) + in * slide.step / sizeof(T) + channel;
            at.gradient = op.gradient.tensor.data == NULL
                              ? NULL
                              : segment_data<T>(op.gradient.tensor, segment) +
                                    in * slide.step_gradient / sizeof(T) + channel;
            at.dy = segment_data<T>(op.output_gradient, segment) + out * slide.step_dy / sizeof(T) +
                    channel;
            at.z = op.norm.scale == NULL ? at.dy /* its factor is 0 */
                                         : segment_data<T>(op.output, segment) +
                                               out * slide.step_z / sizeof(T) + channel;
            at.top = unit.top, at.bottom = unit.bottom, at.left = unit.left;
            slide.run(at);
        }
    }
    leave_sums(op, segment, place, slide, kept, shared);
}

/* Channels of a thread: the more, the fewer loads, but their sums must stay in registers. */
template <int K, int S> constexpr int channels_of = K == 3 || (K == 5 && S == 2) ? 2 : 1;
template <int K, int S> constexpr int columns_of = K == 5 && S == 2 ? 2 : 4;
template <int K, int S> constexpr int values_of = (K * K + 3) * channels_of<K, S>;

/* On a multiprocessor: as many as have registers enough. */
static constexpr int blocks_at_once(int most, size_t element) {
    return most == 7 || element == 4 ? 2 : 3;
}

/* MOST: the largest kernel kept, 3 or 5. Those of 7 x 7 need so many registers that they are a
 * launch of their own, which does nothing for other groups. */
template <class T, int MOST, int S>
__global__ void __launch_bounds__(THREADS, blocks_at_once(MOST, sizeof(T)))
    depthwise_backward(const struct backward op) {
    constexpr int VALUES = values_of < MOST,
                  S >> values_of<3, S> ? values_of<MOST, S> : values_of<3, S>;
    __shared__ float shared[VALUES * THREADS + THREADS];
    const struct segment segment = op.segments[blockIdx.z];
    int kept = op.output.kept[segment.group], kernel = op.kernels[segment.group];
    if (MOST < 7)
        no_pixels(op.gradient.sums, segment, kept == 0 ? 0 : op.parts);
    if (kept == 0)
        return;
    if ((kernel == 7) != (MOST == 7))
        return;
    if constexpr (MOST == 7)
        backward_part<T, 7, S, channels_of<7, S>, columns_of<7, S>>(op, segment, kept, shared);
    else if (MOST == 5 && kernel == 5)
        backward_part<T, MOST, S, channels_of<5, S>, columns_of<5, S>>(op, segment, kept, shared);
    else
        backward_part<T, 3, S, channels_of<3, S>, columns_of<3, S>>(op, segment, kept, shared);
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

template <class T> struct work work_of(const struct convolution *convolution) {
    int kernel = convolution->kernel, stride = convolution->stride;
    struct work work = {};
    work.height = pieces(convolution->input.tensor->height, stride);
    work.width = convolution->input.tensor->width;
    work.channels = convolution->output.channels, work.chunk = CHUNK;
    work.channels_of_a_thread = kernel == 3 || (kernel == 5 && stride == 2) ? 2 : 1;
    work.columns_of_a_strip = kernel == 5 && stride == 2 ? 2 : 4,
    work.again = (kernel - 1) / stride;
    work.threads = THREADS, work.blocks_at_once = blocks_at_once(kernel, sizeof(T));
    return work;
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

    struct work work = work_of<T>(convolution);
    work.images = largest_segment(slice);

    /* As many segments at a time as scratch has partials for. */
    int room = (int)(cuda_depthwise_scratch<T>(convolution) / partial_bytes(convolution));
    for (int first = 0; first < slice->count; first += room) {
        int count = slice->count - first < room ? slice->count - first : room;
        op.segments = slice->device_segments + first;
        work.segments = count;
        op.parts = working_parts(work, op.gradient.sums.parts);
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
