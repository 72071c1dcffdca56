/* Depthwise convolution, forward: depthwise_units.cuh says how the work is cut. */
#include "depthwise_units.cuh"

namespace {

constexpr int THREADS = 128, CHUNK = 64 /* channels of a block */;

struct forward {
    struct device_view input;
    struct tensor output;
    struct partial_sums sums;
    const float *prepared, *bias;
    const int *kernels;
    const struct segment *segments;
    int kernel, channels;
    int parts; /* with pixels */
};

/* Moments of what a thread has written, about its first value. */
template <int C> struct moments {
    float origin[C], first[C], second[C];
    int count;

    template <int P> __device__ __forceinline__ void add(const float (&values)[P][C], int columns) {
        if (count == 0) {
#pragma unroll
            for (int c = 0; c < C; c++)
                origin[c] = values[0][c];
        }
#pragma unroll
        for (int p = 0; p < P; p++) {
            if (p > 0 && p >= columns)
                continue;
#pragma unroll
            for (int c = 0; c < C; c++) {
                float deviation = values[p][c] - origin[c];
                first[c] += deviation;
                second[c] = fmaf(deviation, deviation, second[c]);
            }
        }
        count += columns;
    }
};

/* One strip's rows: K x K taps, P output columns, C channels of a thread. */
template <class T, int K, int S, int C, int P> struct slide {
    static constexpr int SLOTS = (K - 1) / S + 1; /* output rows in the making */
    static constexpr int COLUMNS = S * (P - 1) + K;
    typedef typename few<T, C>::word word;

    const struct forward *op;
    const float *shared; /* [tap][CHUNK] */
    int lane;            /* the thread's first channel there */
    float scale[C], shift[C], bias[C];
    unsigned step, step_out; /* bytes of a pixel */

    float made[SLOTS][P][C];
    word raw[COLUMNS];
    struct moments<C> moments;

    __device__ __forceinline__ int height() const { /* of the input */
        return op->input.z.height;
    }
    __device__ __forceinline__ int columns() const {
        return op->input.z.width;
    }

    __device__ __forceinline__ void load(const T *image, int row, int left) {
        unsigned pixel = anew((int)step);
        int first = anew(left);
        const T *from = along(image, nearest(row, height()), pixel * columns());
#pragma unroll
        for (int n = 0; n < COLUMNS; n++)
            raw[n] =
                *reinterpret_cast<const word *>(along(from, nearest(first + n, columns()), pixel));
    }

    __device__ __forceinline__ void seen(float (&x)[COLUMNS][C], int left) const {
#pragma unroll
        for (int n = 0; n < COLUMNS; n++) {
            widen(x[n], raw[n]);
#pragma unroll
            for (int c = 0; c < C; c++)
                x[n][c] = fmaf(scale[c], x[n][c], shift[c]);
        }
        activate_all(op->input.activation, x);
        if (left >= 0 && left + COLUMNS <= columns())
            return;
#pragma unroll
        for (int n = 0; n < COLUMNS; n++)
            if ((unsigned)(left + n) >= (unsigned)columns()) {
#pragma unroll
                for (int c = 0; c < C; c++)
                    x[n][c] = 0.0f;
            }
    }

    __device__ __forceinline__ void next_slot() {
#pragma unroll
        for (int q = 0; q < SLOTS; q++)
#pragma unroll
            for (int p = 0; p < P; p++)
#pragma unroll
                for (int c = 0; c < C; c++)
                    made[q][p][c] = q + 1 < SLOTS ? made[q + 1][p][c] : bias[c];
    }

    /* The j-th of the S input rows that a step brings. */
    template <int J> __device__ __forceinline__ void add_row(const float (&x)[COLUMNS][C]) {
        int at = anew(lane);
#pragma unroll
        for (int q = 0; q < SLOTS; q++) {
            const int ky = K - S + J - S * q;
            if (ky < 0)
                continue;
#pragma unroll
            for (int kx = 0; kx < K; kx++)
#pragma unroll
                for (int c = 0; c < C; c++) {
                    float weight = shared[(ky * K + kx) * CHUNK + at + c];
#pragma unroll
                    for (int p = 0; p < P; p++)
                        made[q][p][c] = fmaf(weight, x[S * p + kx][c], made[q][p][c]);
                }
        }
    }

    template <int J> __device__ __forceinline__ void row(const T *image, int at, int left) {
        if (J == 0)
            next_slot();
        if (at >= 0 && at < height()) {
            float x[COLUMNS][C];
            seen(x, left);
            load(image, at + 1, left);
            add_row<J>(x);
        } else {
            load(image, at + 1, left);
        }
    }

    __device__ __forceinline__ void store(T *row, int left) {
        unsigned pixel = anew((int)step_out);
        int exist = min(P, op->output.width - left);
        word narrowed[P];
#pragma unroll
        for (int p = 0; p < P; p++)
            narrow(&narrowed[p], made[0][p]);
        if (exist == P) {
#pragma unroll
            for (int p = 0; p < P; p++)
                *reinterpret_cast<word *>(along(row, p, pixel)) = narrowed[p];
        } else {
#pragma unroll
            for (int p = 0; p < P; p++)
                if (p < exist)
                    *reinterpret_cast<word *>(along(row, p, pixel)) = narrowed[p];
        }
        if (op->sums.parts == 0)
            return;
#pragma unroll
        for (int p = 0; p < P; p++)
            widen(made[0][p], narrowed[p]);
        moments.add(made[0], exist);
    }

    __device__ __forceinline__ void unit(const struct unit &unit, const T *input, T *output) {
        int columns_out = op->output.width;
        const T *image = along(input, (unsigned)(unit.image * height()), step * columns());
        T *to = along(output, (unsigned)(unit.image * op->output.height), step_out * columns_out);
        int left = S * unit.left - K / 2;
#pragma unroll
        for (int q = 0; q < SLOTS; q++)
#pragma unroll
            for (int p = 0; p < P; p++)
#pragma unroll
                for (int c = 0; c < C; c++)
                    made[q][p][c] = bias[c];
        int at = S * (unit.top - SLOTS + 1) - K / 2 + K - S;
        load(image, at, left);
#pragma unroll 1
        for (int y = unit.top - SLOTS + 1; y < unit.bottom; y++, at += S) {
            row<0>(image, at, left);
            if constexpr (S == 2)
                row<1>(image, at + 1, left);
            if (y >= unit.top)
                store(along(to, (unsigned)(y * columns_out + unit.left), step_out), unit.left);
        }
    }

    /* What all units share. */
    __device__ __forceinline__ void begin(const struct forward *op_, const struct segment &segment,
                                          const struct place &place, const float *taps, int kept) {
        op = op_, shared = taps, lane = place.lane * C;
        const struct norm_view &norm = op->input.norm;
        int first = place.first + place.lane * C;
#pragma unroll
        for (int c = 0; c < C; c++) {
            bool behind_norm = norm.scale != NULL;
            scale[c] = behind_norm ? norm.scale[norm.row(segment) + first + c] : 1.0f;
            shift[c] = behind_norm ? norm.shift[norm.row(segment) + first + c] : 0.0f;
            bias[c] = op->bias != NULL && first + c < kept ? op->bias[first + c] : 0.0f;
            moments.origin[c] = moments.first[c] = moments.second[c] = 0.0f;
        }
        moments.count = 0;
        step = tensor_ld(&op->input.z, &segment) * (unsigned)sizeof(T);
        step_out = tensor_ld(&op->output, &segment) * (unsigned)sizeof(T);
    }
};

/* All strips' moments to the part's, in the order of strips. shared: [thread][C][2], [strip]. */
template <int C>
__device__ void leave_moments(const struct forward &op, const struct segment &segment,
                              const struct place &place, const struct moments<C> &moments, int kept,
                              float *shared) {
    float *means = shared, *squares = shared + THREADS * C, *counts = squares + THREADS * C;
    __syncthreads();
    float n = (float)moments.count;
    for (int c = 0; c < C; c++) {
        float shift = n > 0 ? moments.first[c] / n : 0.0f;
        means[threadIdx.x * C + c] = moments.origin[c] + shift;
        squares[threadIdx.x * C + c] = fmaxf(moments.second[c] - moments.first[c] * shift, 0.0f);
    }
    if (place.lane == 0 && place.strip < place.strips)
        counts[place.strip] = n;
    __syncthreads();
    int c = (int)threadIdx.x;
    if (c >= place.width)
        return;
    float count = 0.0f, mean = 0.0f, square = 0.0f;
    for (int s = 0; s < place.strips; s++) {
        if (counts[s] == 0.0f)
            continue;
        int at = s * place.width + c;
        float sum = count + counts[s], share = counts[s] / sum, apart = means[at] - mean;
        mean += apart * share;
        square += squares[at] + apart * apart * count * share;
        count = sum;
    }
    int part = (int)blockIdx.y;
    if (c == 0 && place.first == 0)
        *op.sums.count_at(segment, part) = count;
    if (count > 0.0f && place.first + c < kept) {
        op.sums.at(segment, part, 0)[place.first + c] = mean;
        op.sums.at(segment, part, 1)[place.first + c] = square;
    }
}

template <class T, int K, int S, int C, int P>
__device__ void forward_part(const struct forward &op, const struct segment &segment, int kept,
                             float *shared) {
    struct place place = place_of(kept, CHUNK, C);
    if (place.width == 0)
        return;
    int kernel = op.kernels[segment.group];
    struct slide<T, K, S, C, P> slide;
    for (int i = (int)threadIdx.x; i < K * K * place.width; i += THREADS) {
        int t = i / place.width, full = full_tap(t / K, t % K, K, kernel, op.kernel);
        size_t at = (size_t)full * weight_ld(op.channels) + place.first + i % place.width;
        shared[t * CHUNK + i % place.width] = full < 0 ? 0.0f : op.prepared[at];
    }
    __syncthreads();
    slide.begin(&op, segment, place, shared, kept);
    struct units units = units_of(segment.images, op.output.height, op.output.width, P,
                                  place.strips, (int)blockIdx.y, op.parts, slide.SLOTS - 1);
    int first = place.first + place.lane * C;
    if (place.strip < place.strips && first < kept) {
        const T *input = segment_data<T>(op.input.z, segment) + first;
        T *output = segment_data<T>(op.output, segment) + first;
#pragma unroll 1
        for (int u = units.begin + place.strip; u < units.end; u += place.strips)
            slide.unit(unit_at(units, u), input, output);
    }
    if (op.sums.parts > 0)
        leave_moments<C>(op, segment, place, slide.moments, kept, shared);
}

/* Output columns and channels of a thread; more with smaller elements and fewer taps. */
template <class T, int K, int S>
constexpr int columns_of = S == 1 && (K > 3 || sizeof(T) == 2) ? 7 : 4;
template <int K, int S> constexpr int channels_of = K == 3 || S == 2 ? 2 : 1;
constexpr int blocks_at_once(int kernel) {
    return kernel == 3 ? 4 : 3;
}

/* MOST: the full kernel. Groups that keep less of it run the body of theirs. */
template <class T, int MOST, int S>
__global__ void __launch_bounds__(THREADS, blocks_at_once(MOST))
    depthwise_forward(const struct forward op) {
    __shared__ float shared[MOST == 7 ? 49 * CHUNK : MOST == 5 ? 25 * CHUNK : 5 * THREADS];
    const struct segment segment = op.segments[blockIdx.z];
    int kept = op.output.kept[segment.group], kernel = op.kernels[segment.group];
    no_pixels(op.sums, segment, kept == 0 ? 0 : op.parts);
    if (kept == 0)
        return;
    if constexpr (MOST >= 7)
        if (kernel == 7)
            return forward_part<T, 7, S, channels_of<7, S>, columns_of<T, 7, S>>(op, segment, kept,
                                                                                 shared);
    if constexpr (MOST >= 5)
        if (kernel == 5)
            return forward_part<T, 5, S, channels_of<5, S>, columns_of<T, 5, S>>(op, segment, kept,
                                                                                 shared);
    forward_part<T, 3, S, channels_of<3, S>, columns_of<T, 3, S>>(op, segment, kept, shared);
}

template <class T, int K, int S> void launch(struct forward &op, const struct slice *slice) {
    struct work work = {};
    work.segments = slice->count, work.images = largest_segment(slice);
    work.height = op.output.height, work.width = op.output.width;
    work.channels = op.channels, work.chunk = CHUNK;
    work.channels_of_a_thread = channels_of<K, S>;
    work.columns_of_a_strip = columns_of<T, K, S>;
    work.again = (K - 1) / S;
    work.threads = THREADS, work.blocks_at_once = blocks_at_once(K);
    op.parts = working_parts(work, op.sums.parts);
    dim3 grid(pieces(op.channels, CHUNK), op.parts, slice->count);
    LAUNCH((depthwise_forward<T, K, S>), grid, THREADS, 0, cuda_stream(), op);
}

template <class T, int S> void launch(struct forward &op, const struct slice *slice) {
    if (op.kernel >= 7)
        launch<T, 7, S>(op, slice);
    else if (op.kernel == 5)
        launch<T, 5, S>(op, slice);
    else
        launch<T, 3, S>(op, slice);
}

} /* namespace */

template <class T> size_t cuda_depthwise_prepared_size(const struct convolution *convolution) {
    return (size_t)convolution->kernel * convolution->kernel *
           weight_ld(convolution->output.channels);
}

/* [tap][channel lanes] */
template <class T>
int cuda_depthwise_layouts(const struct convolution *convolution, struct weight_layout *layouts) {
    int channels = convolution->output.channels, taps = convolution->kernel * convolution->kernel;
    struct weight_layout layout = {};
    layout.from = convolution->weight, layout.to = convolution->prepared;
    layout.rows = taps, layout.columns = channels, layout.ld = weight_ld(channels);
    layout.inner = 1, layout.outer_step = 1, layout.column_step = taps;
    layouts[0] = layout;
    return 1;
}

template <class T>
enum status cuda_depthwise_forward(const struct convolution *convolution,
                                   const struct slice *slice) {
    struct forward op = {};
    if (convolution->stride > 2 || convolution->kernel > 7)
        return fail(STATUS_USAGE, "a depthwise convolution has stride 1 or 2 and at most 7x7 taps");
    op.input = device_view_of(&convolution->input);
    op.output = convolution->output;
    op.sums = partial_sums_of(convolution->norm);
    op.prepared = convolution->prepared, op.bias = convolution->bias;
    op.kernels = convolution->kernels, op.segments = slice->device_segments;
    op.kernel = convolution->kernel, op.channels = convolution->output.channels;
    if (slice->count == 0)
        return STATUS_OK;
    if (convolution->stride == 1)
        launch<T, 1>(op, slice);
    else
        launch<T, 2>(op, slice);
    return cuda_launched("depthwise_forward");
}

#define INSTANCES(T)                                                                               \
    template size_t cuda_depthwise_prepared_size<T>(const struct convolution *);                   \
    template int cuda_depthwise_layouts<T>(const struct convolution *, struct weight_layout *);    \
    template enum status cuda_depthwise_forward<T>(const struct convolution *,                     \
                                                   const struct slice *);
INSTANCES(float)
INSTANCES(bf16)
