/* Depthwise convolution, backward: depthwise_strips.cuh says how the work is cut.
 *
 * Input gradient and weight gradient are made of the same products' places: input pixel, tap, pixel
 * of dz. So one pass does both: a stream keeps those rows of dz that reach the current rows of the
 * input; dy, z and the input are read once.
 */
#include "depthwise_strips.cuh"

namespace {

using namespace depthwise;

struct backward {
    struct device_view input;
    struct view_gradient gradient;
    struct tensor output, output_gradient;
    struct norm_view norm; /* of the output */
    const float *prepared;
    const int *kernels;
    const struct segment *segments;
    struct cut cut;
    float *partial;       /* [segment][block][tap, or bias][CHUNK] */
    float *weight, *bias; /* gradients that are added to; bias NULL: none */
    int kernel, channels;
};

static __device__ __forceinline__ float *partial_at(const struct backward &op, int segment,
                                                    int block, int tap) {
    size_t row = (size_t)(segment * op.cut.blocks + block) * (op.kernel * op.kernel + 1) + tap;
    return op.partial + row * CHUNK;
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

/* What a K x K body of stride S has in shared memory: in words of two channels, [..][thread]. A
 * step makes the S input rows [S m, S m + S), which rows m - ABOVE to m + BELOW of dz reach. */
template <class T, int K, int S> struct layout {
    static constexpr int PAD = K / 2, THREADS = threads_of<T>;
    static constexpr int ABOVE = PAD / S, BELOW = (S - 1 + PAD) / S, ROWS = ABOVE + BELOW + 1;
    static constexpr int LEFT = PAD / S, RIGHT = (S - 1 + PAD) / S, WIDTH = LEFT + STRIP + RIGHT;
    static constexpr int SLOTS = ROWS + 1; /* the slowest thread is a row behind the fastest */
    static constexpr int AHEAD = K == 3 && S == 1 ? 2 : 1; /* steps that copies are under way */
    static constexpr int DZ = SLOTS * WIDTH * THREADS, INPUT = S * S * STRIP * THREADS;
    static constexpr int SUMS = (K * K + 3) * THREADS * 2 + THREADS; /* floats */
    static constexpr int CONSTANTS = (K * K + SHARED_ROWS) * CHUNK;  /* floats */
    typedef depthwise::fetched<T, STRIP, LEFT, RIGHT> fetched;       /* of dy, and of z */
    typedef depthwise::fetched<T, S * STRIP, 0, 0> fetched_input;

    static inline __host__ __device__ int bytes(const struct cut &cut) {
        int words = DZ + (AHEAD + 1) * INPUT;
        int bytes = CONSTANTS * (int)sizeof(float) + words * 2 * (int)sizeof(T) +
                    (AHEAD * fetched::count(cut.pieces) * 2 + 1) * THREADS * 16;
        return bytes > SUMS * (int)sizeof(float) ? bytes : SUMS * (int)sizeof(float);
    }
};

/* What the threads of a block share, see struct place. */
struct block_operands {
    struct place place;
    size_t x, z, dy, gradient; /* elements before the segment's and the block's first */
    unsigned step, step_z, step_dy, step_gradient; /* of a pixel */

    __device__ __forceinline__ void fill(const struct backward &op, const struct segment &segment,
                                         const struct place &place_) {
        place = place_;
        x = segment.first * op.input.z.image_size + place.first;
        step = tensor_ld(&op.input.z, &segment);
        dy = segment.first * op.output_gradient.image_size + place.first;
        step_dy = tensor_ld(&op.output_gradient, &segment);
        z = dy, step_z = step_dy; /* its factor is 0 */
        if (op.norm.scale != NULL) {
            z = segment.first * op.output.image_size + place.first;
            step_z = tensor_ld(&op.output, &segment);
        }
        gradient = step_gradient = 0;
        if (op.gradient.tensor.data != NULL) {
            gradient = segment.first * op.gradient.tensor.image_size + place.first;
            step_gradient = tensor_ld(&op.gradient.tensor, &segment);
        }
    }
};

template <class T, int K, int S> struct slide {
    typedef layout<T, K, S> at;
    typedef typename two<T>::word word;
    static constexpr int THREADS = at::THREADS, EACH = VECTOR<T>;

    const struct backward &op;
    const struct block_operands &operands;
    const struct place &place;
    const float *constants; /* [tap, then row][CHUNK] */
    word *dz, *input;       /* [slot][column][thread], [slot][row][column % S][column][thread] */
    float4 *raw;            /* [step % AHEAD][copy][dy, z][thread] */
    struct ticket *tickets;

    float weight_gradient[K * K][2], bias_gradient[2], sum[2], product[2];

    __device__ __forceinline__ slide(const struct backward &op_,
                                     const struct block_operands &operands_, float *shared)
        : op(op_), operands(operands_), place(operands_.place), constants(shared) {
        dz = reinterpret_cast<word *>(shared + at::CONSTANTS);
        input = dz + at::DZ;
        tickets = reinterpret_cast<struct ticket *>(input + (at::AHEAD + 1) * at::INPUT);
        raw = reinterpret_cast<float4 *>(tickets + THREADS);
#pragma unroll
        for (int c = 0; c < 2; c++) {
            bias_gradient[c] = sum[c] = product[c] = 0.0f;
#pragma unroll
            for (int t = 0; t < K * K; t++)
                weight_gradient[t][c] = 0.0f;
        }
    }

    __device__ __forceinline__ int height() const {
        return op.input.z.height;
    }
    __device__ __forceinline__ int columns() const {
        return op.input.z.width;
    }
    __device__ __forceinline__ int columns_out() const {
        return op.output.width;
    }

    __device__ __forceinline__ const real *z_data() const {
        return op.norm.scale != NULL ? op.output.data : op.output_gradient.data;
    }

    /* ---------------------------------------------------------------- what a row brings */

    __device__ __forceinline__ void write_ticket() const {
        struct share share = share_of<T>(place, op.cut.across);
        int first = place.left + share.strip * STRIP;
        struct ticket ticket;
        ticket.column = first + share.phase, ticket.channel = (short)share.channel;
        ticket.word = (short)((share.phase + at::LEFT) * THREADS + share.thread);
        ticket.flags = at::fetched::flags_of(share, op.cut.across, first, columns_out());
        ticket.column_in = (short)(S * first + share.phase);
        ticket.flags_input =
            (short)at::fetched_input::flags_of(share, op.cut.across, S * first, columns());
        tickets[threadIdx.x] = ticket;
    }

    __device__ __forceinline__ float4 *raw_of(int t) const {
        return raw + t % at::AHEAD * at::fetched::count(op.cut.pieces) * 2 * THREADS + threadIdx.x;
    }

    /* Elements of a segment are counted in 32 bits. */
    __device__ __forceinline__ void copy_dz(const struct ticket &ticket, int row, int t) const {
        unsigned pixel = (unsigned)(row * columns_out() + ticket.column);
        unsigned step_dy = operands.step_dy, step_z = operands.step_z;
        const T *dy = reinterpret_cast<const T *>(op.output_gradient.data) + operands.dy;
        const T *z = reinterpret_cast<const T *>(z_data()) + operands.z;
        float4 *to = raw_of(t);
        at::fetched::each(ticket.flags, op.cut.pieces, [&](int n, int column, bool, bool) {
            copy_async(to + 2 * n * THREADS, dy + ((pixel + column) * step_dy + ticket.channel));
            copy_async(to + (2 * n + 1) * THREADS,
                       z + ((pixel + column) * step_z + ticket.channel));
        });
    }

    __device__ __forceinline__ void copy_input(const struct ticket &ticket, int row, int rows,
                                               word *slot) const {
        constexpr int APART = PHASES<T> / S * THREADS;
        unsigned pixel = (unsigned)(row * columns() + ticket.column_in), step = operands.step;
        int phase = ticket.word / THREADS - at::LEFT, thread = ticket.word % THREADS;
        const T *x = reinterpret_cast<const T *>(op.input.z.data) + operands.x;
        word *to = slot + (phase % S * STRIP + phase / S) * THREADS + thread;
#pragma unroll
        for (int j = 0; j < S; j++) {
            if (j >= rows)
                break;
            at::fetched_input::each(ticket.flags_input, 1, [&](int n, int column, bool, bool) {
                copy_async(to + n * APART, x + ((pixel + column) * step + ticket.channel));
            });
            pixel += columns(), to += S * STRIP * THREADS;
        }
    }

    __device__ __forceinline__ void make_dz(int t, word *slot) const {
        const struct ticket ticket = tickets[threadIdx.x];
        float grad_y[EACH], grad_z[EACH], grad_one[EACH];
        const float *from = constants + K * K * CHUNK + ticket.channel;
        load_floats(grad_y, from + GRAD_Y * CHUNK);
        load_floats(grad_z, from + GRAD_Z * CHUNK);
        load_floats(grad_one, from + GRAD_ONE * CHUNK);
        const float4 *raws = raw_of(t);
        word *to = slot + ticket.word;
        int lanes = place.lanes;
        at::fetched::each(
            ticket.flags, op.cut.pieces, [&](int n, int column, bool to_left, bool to_right) {
                float dy[EACH], z[EACH];
                widen(dy, raws[2 * n * THREADS]);
                widen(z, raws[(2 * n + 1) * THREADS]);
#pragma unroll
                for (int i = 0; i < EACH; i++)
                    dy[i] = fmaf(grad_y[i], dy[i], fmaf(grad_z[i], z[i], grad_one[i]));
                give<T, STRIP>(to + column * THREADS, lanes, to_left, to_right, dy);
            });
    }

    /* ---------------------------------------------------------------- what is made of it */

    __device__ __forceinline__ float constant(enum shared_row row, int lane, int c) const {
        return constants[(K * K + row) * CHUNK + lane * 2 + c];
    }

    __device__ __forceinline__ void normed(const word (&from)[STRIP], int lane,
                                           float (&y)[STRIP][2]) const {
        float scale[2] = {constant(SCALE, lane, 0), constant(SCALE, lane, 1)};
        float shift[2] = {constant(SHIFT, lane, 0), constant(SHIFT, lane, 1)};
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            widen(y[p], from[p]);
        FOR_ALL(STRIP, 2, y[n][c] = fmaf(scale[c], y[n][c], shift[c]))
    }

    /* Row J, column I of every S x S pixels: their gradient, and what they add to the weights'. */
    template <int J, int I>
    __device__ __forceinline__ void add_taps(const float (&seen)[STRIP][2], int lane, int y,
                                             int slot, float (&da)[STRIP][2]) {
        const float2 *taps = reinterpret_cast<const float2 *>(constants) + lane;
#pragma unroll
        for (int ky = 0; ky < K; ky++) {
            if ((J + at::PAD + K * S - ky) % S != 0)
                continue;
            const int q = (J + at::PAD + K * S - ky) / S - K + at::ABOVE;
            if ((unsigned)(y + q - at::ABOVE) >= (unsigned)op.output.height)
                continue;
            int old = slot + q + at::SLOTS - at::ROWS + 1;
            old -= old < at::SLOTS ? 0 : at::SLOTS;
            const word *row = dz + old * at::WIDTH * THREADS + threadIdx.x;
            float d[at::WIDTH][2];
#pragma unroll
            for (int n = 0; n < at::WIDTH; n++)
                widen(d[n], row[n * THREADS]);
            if (ky == at::PAD && J == 0 && I == 0 && op.bias != NULL) {
#pragma unroll
                for (int p = 0; p < STRIP; p++)
                    bias_gradient[0] += d[p + at::LEFT][0], bias_gradient[1] += d[p + at::LEFT][1];
            }
#pragma unroll
            for (int kx = 0; kx < K; kx++) {
                if ((I + at::PAD + K * S - kx) % S != 0)
                    continue;
                const int n = (I + at::PAD + K * S - kx) / S - K + at::LEFT;
                float2 pair = taps[(ky * K + kx) * (CHUNK / 2)];
                float weight[2] = {pair.x, pair.y};
#pragma unroll
                for (int p = 0; p < STRIP; p++)
#pragma unroll
                    for (int c = 0; c < 2; c++) {
                        da[p][c] = fmaf(weight[c], d[n + p][c], da[p][c]);
                        weight_gradient[ky * K + kx][c] =
                            fmaf(seen[p][c], d[n + p][c], weight_gradient[ky * K + kx][c]);
                    }
            }
        }
    }

    /* Adds what is there, all of it on its way at once. */
    __device__ __forceinline__ void accumulate(const T *from, unsigned step, int exist,
                                               float (&da)[STRIP][2]) const {
        word before[STRIP];
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            before[p] = *reinterpret_cast<const word *>(from + max(min(p, exist - 1), 0) * step);
#pragma unroll
        for (int p = 0; p < STRIP; p++) {
            float old[2];
            widen(old, before[p]);
            da[p][0] += old[0], da[p][1] += old[1];
        }
    }

    /* What is behind the image's edge or the kept channels stays; da becomes what is stored. */
    __device__ __forceinline__ void store(T *to, int exist, bool whole,
                                          float (&da)[STRIP][2]) const {
        unsigned step = S * operands.step_gradient;
        word narrowed[STRIP];
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            narrow(&narrowed[p], da[p]);
        if (exist == STRIP && whole) {
#pragma unroll
            for (int p = 0; p < STRIP; p++, to += step)
                *reinterpret_cast<word *>(to) = narrowed[p];
        } else {
#pragma unroll 1
            for (int c = 0; c < (whole ? 2 : 1); c++)
#pragma unroll
                for (int p = 0; p < STRIP; p++)
                    if (p < exist)
                        to[p * step + c] = from_float<T>(c == 0 ? da[p][0] : da[p][1]);
        }
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            widen(da[p], narrowed[p]);
    }

    __device__ __forceinline__ void add_sums(const word (&from)[STRIP], int lane,
                                             const float (&da)[STRIP][2]) {
        float mean[2] = {constant(MEAN, lane, 0), constant(MEAN, lane, 1)}, z[STRIP][2];
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            widen(z[p], from[p]);
        FOR_ALL(STRIP, 2, sum[c] += da[n][c])
        FOR_ALL(STRIP, 2, product[c] = fmaf(da[n][c], z[n][c] - mean[c], product[c]))
    }

    /* The input of a strip, nothing where there is no image. */
    __device__ __forceinline__ void load_input(const word *from, int exist,
                                               word (&into)[STRIP]) const {
#pragma unroll
        for (int p = 0; p < STRIP; p++)
            into[p] = from[p * THREADS];
        if (exist < STRIP) {
#pragma unroll
            for (int p = 0; p < STRIP; p++)
                into[p] = p < exist ? into[p] : word();
        }
    }

    /* The input is loaded once more rather than kept in registers. */
    __device__ __forceinline__ void leave_gradient(const word *from, int exist, int lane,
                                                   size_t pixel, float (&da)[STRIP][2]) {
        word loaded[STRIP];
        load_input(from, exist, loaded);
        if (op.gradient.through) {
            float y[STRIP][2];
            normed(loaded, lane, y);
            through_all(op.input.activation, y, da);
        }
        bool whole = place.first + lane * 2 + 2 <= place.kept;
        T *to = reinterpret_cast<T *>(op.gradient.tensor.data) + operands.gradient + lane * 2;
        to += pixel * operands.step_gradient;
        if (op.gradient.accumulate && exist > 0)
            accumulate(to, S * operands.step_gradient, exist, da);
        store(to, exist, whole, da);
        if (op.gradient.sums.parts == 0)
            return;
        if (exist < STRIP)
            FOR_ALL(STRIP, 2, da[n][c] = n < exist ? da[n][c] : 0.0f)
        add_sums(loaded, lane, da);
    }

    /* Every S-th pixel of a row: row j, column i of S x S. A loop over these has the code of the
     * view once. */
    __device__ __forceinline__ void make_pixels(int j, int i, const struct position &position,
                                                int slot, const word *from) {
        struct seat seat = seat_of(place, op.cut.across);
        int left = (place.left + seat.strip * STRIP) * S + i;
        int exist = min(STRIP, (columns() - left + S - 1) / S);
        float seen[STRIP][2], da[STRIP][2] = {};
        word loaded[STRIP];
        load_input(from, exist, loaded);
        normed(loaded, seat.lane, seen);
        activate_all(op.input.activation, seen);
        if (exist < STRIP)
            FOR_ALL(STRIP, 2, seen[n][c] = n < exist ? seen[n][c] : 0.0f)
        if (S == 1 || (j == 0 && i == 0))
            add_taps<0, 0>(seen, seat.lane, position.y, slot, da);
        else if (j == 0)
            add_taps<0, S - 1>(seen, seat.lane, position.y, slot, da);
        else if (i == 0)
            add_taps<S - 1, 0>(seen, seat.lane, position.y, slot, da);
        else
            add_taps<S - 1, S - 1>(seen, seat.lane, position.y, slot, da);
        if (op.gradient.tensor.data != NULL)
            leave_gradient(from, exist, seat.lane, (size_t)(position.row + j) * columns() + left,
                           da);
    }

    __device__ __forceinline__ void make_rows(int row, int slot, const word *from) {
        struct position position = position_of(place, row, S, height());
        if (place.first + seat_of(place, op.cut.across).lane * 2 >= place.kept)
            return;
        int rows = min(S, height() - S * position.y);
#pragma unroll 1
        for (int n = 0; n < rows * S; n++)
            make_pixels(n / S, n % S, position, slot, from + n * STRIP * THREADS);
    }

    /* ---------------------------------------------------------------- a run of rows */

    /* Step t brings row begin - lead + t of dz and makes the input rows of the row BELOW before. */
    __device__ __forceinline__ bool brings(const struct run &run, int row) const {
        return run.begin < run.end && row >= 0 && row < end_of_sight(place, run, at::BELOW);
    }
    __device__ __forceinline__ bool makes(const struct run &run, int row) const {
        return row >= run.begin && row < run.end;
    }

    __device__ __forceinline__ void copy(const struct run &run, int t) const {
        int row = run.begin - place.lead + t, row_in = row - at::BELOW;
        const struct ticket ticket = tickets[threadIdx.x];
        if (brings(run, row))
            copy_dz(ticket, row, t);
        if (makes(run, row_in)) {
            struct position position = position_of(place, row_in, S, height());
            copy_input(ticket, position.row, min(S, height() - S * position.y),
                       input + t % (at::AHEAD + 1) * at::INPUT);
        }
        copy_async_commit();
    }

    __device__ __forceinline__ void copy_first(const struct run &run) const {
#pragma unroll
        for (int t = 0; t < at::AHEAD; t++)
            copy(run, t);
    }

    __device__ __forceinline__ void make(const struct run &run) {
        int slot = 0;
#pragma unroll 1
        for (int t = 0; t < place.steps + at::BELOW; t++) {
            int row = run.begin - place.lead + t;
            copy_async_wait<at::AHEAD - 1>();
            if (brings(run, row))
                make_dz(t, dz + slot * at::WIDTH * THREADS);
            __syncthreads();
            copy(run, t + at::AHEAD);
            if (makes(run, row - at::BELOW))
                make_rows(row - at::BELOW, slot,
                          input + t % (at::AHEAD + 1) * at::INPUT + threadIdx.x);
            slot = slot + 1 < at::SLOTS ? slot + 1 : 0;
        }
    }

    __device__ __forceinline__ void clear_dz() const {
        for (int i = (int)threadIdx.x; i < at::DZ * 2 * (int)sizeof(T) / 16; i += THREADS)
            reinterpret_cast<float4 *>(dz)[i] = make_float4(0, 0, 0, 0);
    }
};

/* How threads share rows of CHUNK values: each has one channel, and rows that are APART. */
enum { BATCH = 6 /* rows under way at once */ };
template <class T> constexpr int APART = threads_of<T> / CHUNK;

/* Taps and norms of the block's channels. */
template <class T, int K>
__device__ void fill_constants(const struct backward &op, const struct segment &segment,
                               const struct place &place, float *shared) {
    int kernel = op.kernels[segment.group], c = (int)threadIdx.x % CHUNK;
    if (c >= place.width)
        return;
    const float *prepared = op.prepared + place.first + c;
#pragma unroll 1
    for (int t = (int)threadIdx.x / CHUNK; t < K * K; t += BATCH * APART<T>) {
        float tap[BATCH];
#pragma unroll
        for (int n = 0; n < BATCH; n++) { /* no condition holds a load up */
            int at = min(t + n * APART<T>, K * K - 1);
            int full = full_tap(at / K, at % K, K, kernel, op.kernel);
            float value = prepared[max(full, 0) * weight_ld(op.channels)];
            tap[n] = full < 0 ? 0.0f : value;
        }
#pragma unroll
        for (int n = 0; n < BATCH; n++)
            if (t + n * APART<T> < K * K)
                shared[(t + n * APART<T>)*CHUNK + c] = tap[n];
    }
    for (int row = (int)threadIdx.x / CHUNK; row < SHARED_ROWS; row += APART<T>)
        shared[(K * K + row) * CHUNK + c] = norm_row(op, segment, row, place.first + c);
}

/* Pixels of the input in the runs of the thread's stream. */
static __device__ __forceinline__ int pixels_of(const struct backward &op, struct place place,
                                                int stride, int above) {
    int height = op.input.z.height, pixels = 0;
    for (int item = place.part; item < items_of(op.cut, place); item += place.parts) {
        struct run run = run_of(op.cut, place, item, above);
        int left = place.left * stride;
        int rows = position_of(place, run.end, stride, height).row -
                   position_of(place, run.begin, stride, height).row;
        pixels += rows * min(op.cut.across * STRIP * stride, op.input.z.width - left);
    }
    return pixels;
}

/* shared: [tap, bias, sum, product][thread][2], [stream]. */
template <class T, int K, int S>
__device__ void leave_sums(const struct backward &op, const struct segment &segment,
                           const struct place &place, const slide<T, K, S> &slide, int kept,
                           float *shared) {
    constexpr int BIAS = K * K, SUM = BIAS + 1, PRODUCT = BIAS + 2, COUNTS = BIAS + 3;
    constexpr int THREADS = threads_of<T>, VALUES = THREADS * 2;
    float *counts = shared + COUNTS * VALUES;
    float2 *mine = reinterpret_cast<float2 *>(shared) + threadIdx.x;
    int kernel = op.kernels[segment.group], strips = place.streams * op.cut.across;
    __syncthreads();
#pragma unroll
    for (int t = 0; t < K * K; t++)
        mine[t * THREADS] = make_float2(slide.weight_gradient[t][0], slide.weight_gradient[t][1]);
    mine[BIAS * THREADS] = make_float2(slide.bias_gradient[0], slide.bias_gradient[1]);
    mine[SUM * THREADS] = make_float2(slide.sum[0], slide.sum[1]);
    mine[PRODUCT * THREADS] = make_float2(slide.product[0], slide.product[1]);
    struct seat seat = seat_of(place, op.cut.across);
    if (seat.index == 0 && seat.stream < place.streams)
        counts[seat.stream] = (float)pixels_of(op, place, S, layout<T, K, S>::ABOVE);
    __syncthreads();

    int c = (int)threadIdx.x % CHUNK;
    if (c >= place.width)
        return;
    float pixels = 0.0f;
    for (int s = 0; s < place.streams; s++)
        pixels += counts[s];
    bool wanted = op.gradient.sums.parts > 0;
    if (wanted && threadIdx.x == 0 && place.first == 0)
        *op.gradient.sums.count_at(segment, place.part) = pixels;
    wanted = wanted && pixels > 0.0f && place.first + c < kept;
#pragma unroll 1
    for (int first = (int)threadIdx.x / CHUNK; first <= PRODUCT; first += BATCH * APART<T>) {
        float sums[BATCH] = {};
        for (int s = 0; s < strips; s++)
#pragma unroll
            for (int n = 0; n < BATCH; n++)
                sums[n] +=
                    shared[min(first + n * APART<T>, PRODUCT) * VALUES + s * place.width + c];
#pragma unroll
        for (int n = 0; n < BATCH; n++) {
            int t = first + n * APART<T>, full = -1;
            if (t <= BIAS)
                full = t == BIAS ? op.kernel * op.kernel
                                 : full_tap(t / K, t % K, K, kernel, op.kernel);
            if (full >= 0)
                partial_at(op, (int)blockIdx.z, (int)blockIdx.x, full)[c] = sums[n];
            else if (wanted && (t == SUM || t == PRODUCT))
                op.gradient.sums.at(segment, place.part, t - SUM)[place.first + c] = sums[n];
        }
    }
}

template <class T, int K, int S>
__device__ void backward_part(const struct backward &op, const struct segment &segment, int kept,
                              float *shared) {
    __shared__ struct block_operands operands;
    struct place place =
        place_of(op.cut, kept, op.gradient.sums.parts, segment.images, op.output.height);
    if (place.width == 0)
        return;
    struct slide<T, K, S> slide(op, operands, shared);
    for (int item = place.part; item < items_of(op.cut, place); item += place.parts) {
        struct run run = run_of(op.cut, place, item, layout<T, K, S>::ABOVE);
        __syncthreads();
        if (threadIdx.x == 0)
            operands.fill(op, segment, place);
        __syncthreads();
        slide.write_ticket();
        slide.copy_first(run);
        if (item == place.part)
            fill_constants<T, K>(op, segment, place, shared);
        slide.clear_dz();
        __syncthreads();
        slide.make(run);
        place = operands.place;
    }
    copy_async_wait<0>();
    leave_sums(op, segment, place, slide, kept, shared);
}

/* Blocks on a multiprocessor, for their registers. */
static constexpr int blocks_at_once(int most) {
    return most == 7 ? 2 : most == 5 ? 3 : 4;
}

/* MOST: the largest kernel kept, 3 or 5. Those of 7 x 7 need so many registers that they are a
 * launch of their own, which does nothing for other groups. */
template <class T, int MOST, int S>
__global__ void __launch_bounds__(threads_of<T>, blocks_at_once(MOST))
    depthwise_backward(const struct backward op) {
    DYNAMIC_SHARED(float, shared);
    const struct segment segment = op.segments[blockIdx.z];
    int kept = op.output.kept[segment.group], kernel = op.kernels[segment.group];
    if (MOST < 7)
        no_pixels(op.gradient.sums, segment,
                  kept == 0 ? 0
                            : parts_of(op.cut.blocks, chunks_of(kept, op.cut.chunk),
                                       op.gradient.sums.parts));
    if (kept == 0)
        return;
    if ((kernel == 7) != (MOST == 7))
        return;
    if constexpr (MOST == 7)
        backward_part<T, 7, S>(op, segment, kept, shared);
    else if (MOST == 5 && kernel == 5)
        backward_part<T, MOST, S>(op, segment, kept, shared);
    else
        backward_part<T, 3, S>(op, segment, kept, shared);
}

enum {
    SUMMERS = 16,      /* threads that share the partials of an element */
    AT_ONCE = 4,       /* loads of each under way */
    MOST_BLOCKS = 2048 /* of all segments */
};

/* Where a segment's partials of a channel are. */
struct source {
    int kept, reach; /* channels, of the kernel */
    int chunk, chunks, at /* in the chunk */, parts;
};

static __device__ struct source source_of(const struct backward &op, int segment, int channel) {
    int group = op.segments[segment].group, kept = op.output.kept[group];
    struct source source = {};
    if (channel >= kept)
        return source;
    int width = chunk_width(kept, chunks_of(kept, op.cut.chunk));
    source.kept = kept, source.reach = op.kernels[group] / 2;
    source.chunks = chunks_of(kept, op.cut.chunk);
    source.parts = parts_of(op.cut.blocks, source.chunks, op.gradient.sums.parts);
    source.chunk = channel / width, source.at = channel % width;
    return source;
}

/* Partials part, part + apart, ... of one segment. */
static __device__ __forceinline__ float sum_of(const struct backward &op, int segment,
                                               const struct source &source, int tap, int part,
                                               int apart) {
    float sum = 0.0f;
    for (; part < source.parts; part += apart * AT_ONCE) {
        float values[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++) { /* no condition holds a load up */
            int block = min(part + j * apart, source.parts - 1) * source.chunks + source.chunk;
            values[j] = partial_at(op, segment, block, tap)[source.at];
        }
#pragma unroll
        for (int j = 0; j < AT_ONCE; j++)
            sum += part + j * apart < source.parts ? values[j] : 0.0f;
    }
    return sum;
}

/* One row (a tap, or the bias) of WARP channels a block: all segments' partials, in fixed order.
 * `abreast` segments at a time. */
__global__ void __launch_bounds__(WARP *SUMMERS)
    add_partials(const struct backward op, int segments, int abreast) {
    __shared__ float shared[SUMMERS][WARP];
    int taps = op.kernel * op.kernel, tap = (int)blockIdx.y, summers = (int)blockDim.y;
    int up = abs(tap / op.kernel - op.kernel / 2), right = abs(tap % op.kernel - op.kernel / 2);
    int reach = tap == taps ? 0 : max(up, right);
    int channel = (int)(blockIdx.x * WARP + threadIdx.x);
    float sum = 0.0f;
    for (int s = (int)threadIdx.y % abreast; s < segments; s += abreast) {
        struct source source = source_of(op, s, channel);
        if (reach <= source.reach && channel < source.kept)
            sum += sum_of(op, s, source, tap, (int)threadIdx.y / abreast, summers / abreast);
    }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || channel >= op.channels)
        return;
    for (int i = 1; i < summers; i++)
        sum += shared[i][threadIdx.x];
    float *into = tap == taps ? op.bias + channel : op.weight + (size_t)channel * taps + tap;
    *into += sum;
}

template <class T, int MOST, int S>
static enum status launch(const struct backward &op, int segments) {
    int shared = layout<T, MOST, S>::bytes(op.cut);
    TRY(cuda_check(cudaFuncSetAttribute(depthwise_backward<T, MOST, S>,
                                        cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
                   "depthwise_backward"));
    LAUNCH((depthwise_backward<T, MOST, S>), dim3(op.cut.blocks, 1, segments), threads_of<T>,
           shared, cuda_stream(), op);
    return cuda_launched("depthwise_backward");
}

template <class T, int MOST, int S>
static enum status launch_all(struct backward &op, int segments, int images) {
    int room = ALL_SHARED /
               (layout<T, MOST, S>::bytes(op.cut) + 1024 + (int)sizeof(struct block_operands));
    int at_once = blocks_at_once(MOST);
    cut_rows<T>(&op.cut, op.channels, images * op.output.height, segments, op.gradient.sums.parts,
                room < at_once ? room : at_once);
    TRY((launch < T, MOST == 7 ? 5 : MOST, S > (op, segments)));
    if constexpr (MOST == 7)
        TRY((launch<T, 7, S>(op, segments)));
    int rows = op.kernel * op.kernel + (op.bias != NULL), abreast = 1;
    int summers =
        segments * op.cut.blocks / chunks_of(op.channels, op.cut.chunk) > 64 ? SUMMERS : 8;
    while (abreast < summers && abreast < segments)
        abreast *= 2;
    LAUNCH(add_partials, dim3(pieces(op.channels, WARP), rows), dim3(WARP, summers), 0,
           cuda_stream(), op, segments, abreast);
    return cuda_launched("add_partials");
}

/* As many segments at a time as scratch has partials for. */
template <class T, int MOST, int S>
static enum status launch_all(struct backward &op, const struct slice *slice) {
    op.cut = cut_of<T>(op.channels, op.output.width);
    int chunks = chunks_of(op.channels, op.cut.chunk);
    int room = chunks < MOST_BLOCKS ? MOST_BLOCKS / chunks : 1;
    for (int first = 0; first < slice->count; first += room) {
        int count = slice->count - first < room ? slice->count - first : room;
        op.segments = slice->device_segments + first;
        TRY((launch_all<T, MOST, S>(op, count, largest_segment(slice))));
    }
    return STATUS_OK;
}

template <class T, int S>
static enum status launch_all(struct backward &op, const struct slice *slice) {
    if (op.kernel == 7)
        return launch_all<T, 7, S>(op, slice);
    if (op.kernel == 5)
        return launch_all<T, 5, S>(op, slice);
    return launch_all<T, 3, S>(op, slice);
}

} /* namespace */

template <class T> size_t cuda_depthwise_scratch(const struct convolution *convolution) {
    int chunks = pieces(convolution->output.channels, LANES);
    int blocks = chunks > MOST_BLOCKS ? chunks : (int)MOST_BLOCKS;
    size_t taps = (size_t)convolution->kernel * convolution->kernel;
    return blocks * (taps + 1) * CHUNK * sizeof(float);
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
    op.weight = slice->gradient + convolution->weight_offset;
    if (convolution->bias != NULL)
        op.bias = slice->gradient + convolution->bias_offset;
    if (convolution->stride == 1)
        return launch_all<T, 1>(op, slice);
    return launch_all<T, 2>(op, slice);
}

#define INSTANCES(T)                                                                               \
    template size_t cuda_depthwise_scratch<T>(const struct convolution *);                         \
    template enum status cuda_depthwise_backward<T>(const struct convolution *,                    \
                                                    const struct slice *);
INSTANCES(float)
INSTANCES(bf16)
