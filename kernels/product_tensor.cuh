/* The product on tensor cores: bf16 operands, float sums.
 *
 * A block of four warps makes TENSOR_ROWS x COLUMNS at a time and walks the row tiles of its part.
 * Steps of k of all its tiles form one sequence, whose raw operands are copied to shared memory
 * some steps ahead. Each warp owns 16 rows: it applies the view to its fragments in registers, once
 * per element, and hands its sums to threads of neighbouring channels through its own corner of
 * shared memory.
 */
#ifndef TAPER_PRODUCT_TENSOR_CUH
#define TAPER_PRODUCT_TENSOR_CUH

#include "mma.cuh"
#include "product.cuh"

constexpr int TENSOR_ROWS = 64, TENSOR_THREADS = 128, TENSOR_WARPS = 4;
constexpr int TENSOR_STEP = 32; /* of k */
constexpr int TENSOR_SHARED = 48 << 10;

/* Shared memory of one step, in bytes, and of all. */
template <int COLUMNS, class Left> struct tensor_layout {
    static constexpr int stream = TENSOR_ROWS * TENSOR_STEP * sizeof(bf16);
    static constexpr int right = Left::STREAMS * stream;
    static constexpr int coefficients = right + COLUMNS * TENSOR_STEP * (int)sizeof(bf16);
    static constexpr int step = coefficients + Left::COEFFICIENTS * TENSOR_STEP * 4;
    static constexpr int pitch = COLUMNS + 4; /* floats of a row of sums */
    static constexpr int corner = 8 * pitch;  /* floats of a warp */
    static constexpr int corners = TENSOR_WARPS * corner * 4;
    static constexpr int room = (TENSOR_SHARED - corners) / step;
    static constexpr int stages = room > 4 ? 4 : room;
    static constexpr int octets = COLUMNS / LANES;
    static constexpr int row_lanes = WARP / octets < 8 ? WARP / octets : 8; /* of a warp */
    static constexpr int steps = stages * step;
    static constexpr int merge = merge_floats(TENSOR_WARPS * row_lanes, COLUMNS) * 4;
    static constexpr int shared = (steps > merge ? steps : merge) + corners;
};

/* Where 16 bytes (chunk 0..3) of a row lie: rows are 64 bytes, and the eight rows of a matrix must
 * fall on different banks. */
static __device__ __forceinline__ int tensor_at(int row, int chunk) {
    return row * TENSOR_STEP + (chunk ^ (row >> 1 & 3)) * LANES;
}

static __device__ __forceinline__ void tensor_copy(bf16 *to, const bf16 *from, int kept,
                                                   bool vectors) {
    if (vectors) {
        copy_async(to, from);
        return;
    }
    for (int i = 0; i < LANES; i++)
        to[i] = i < kept ? from[i] : from_float<bf16>(0.0f);
}

/* One raw stream of the left side: rows past the end repeat the last one, k past the kept channels
 * is masked in the fragments. */
static __device__ __forceinline__ void tensor_copy_rows(bf16 *to, const bf16 *from, int ld,
                                                        int kept, bool vectors, int first, int end,
                                                        int k) {
#pragma unroll
    for (int i = 0; i < TENSOR_ROWS * 4 / TENSOR_THREADS; i++) {
        int index = threadIdx.x + i * TENSOR_THREADS, row = index / 4, chunk = index % 4;
        int column = k + chunk * LANES, source = first + row < end ? first + row : end - 1;
        if (column < kept)
            tensor_copy(to + tensor_at(row, chunk), from + (size_t)source * ld + column,
                        kept - column, vectors);
    }
}

template <int COLUMNS>
static __device__ __forceinline__ void tensor_copy_weights(bf16 *to, const bf16 *weights, int ld,
                                                           int first, int kept, int k) {
#pragma unroll
    for (int i = 0; i < (COLUMNS * 4 + TENSOR_THREADS - 1) / TENSOR_THREADS; i++) {
        int index = threadIdx.x + i * TENSOR_THREADS, column = index / 4, chunk = index % 4;
        int source = first + column < kept ? first + column : kept - 1;
        if (column < COLUMNS)
            copy_async(to + tensor_at(column, chunk),
                       weights + (size_t)source * ld + k + chunk * LANES);
    }
}

/* Coefficients of the step's channels, four per thread. */
static __device__ __forceinline__ void tensor_copy_coefficients(float *to, const float *from, int k,
                                                                int which) {
    int at = (int)threadIdx.x - which * (TENSOR_STEP / 4);
    if (from != NULL && at >= 0 && at < TENSOR_STEP / 4)
        copy_async(to + which * TENSOR_STEP + at * 4, from + k + at * 4);
}

static __device__ __forceinline__ void tensor_copy_left(const view_rows<bf16> &left, char *step,
                                                        float *coefficients, int first, int end,
                                                        int k) {
    tensor_copy_rows(reinterpret_cast<bf16 *>(step), left.z, left.ld, left.kept, left.vectors,
                     first, end, k);
    tensor_copy_coefficients(coefficients, left.scale, k, 0);
    tensor_copy_coefficients(coefficients, left.shift, k, 1);
}
static __device__ __forceinline__ void tensor_copy_left(const gradient_rows<bf16> &left, char *step,
                                                        float *coefficients, int first, int end,
                                                        int k) {
    bf16 *to = reinterpret_cast<bf16 *>(step);
    tensor_copy_rows(to, left.dy, left.ld, left.kept, left.vectors, first, end, k);
    if (left.grad_y == NULL)
        return;
    tensor_copy_rows(to + TENSOR_ROWS * TENSOR_STEP, left.z, left.ld_z, left.kept, left.vectors_z,
                     first, end, k);
    tensor_copy_coefficients(coefficients, left.grad_y, k, 0);
    tensor_copy_coefficients(coefficients, left.grad_z, k, 1);
    tensor_copy_coefficients(coefficients, left.grad_one, k, 2);
}

/* ------------------------------------------------------------------ fragments */

/* Register r of a left fragment: row lane / 4 + r % 2 * 8, of k the pair lane % 4 * 2 + r / 2 * 8;
 * as floats, elements 2 r and 2 r + 1. */
static __device__ __forceinline__ void unpack(float (&into)[LANES], const left_fragment &from) {
#pragma unroll
    for (int r = 0; r < 4; r++) {
        into[2 * r] = first_of(from[r]);
        into[2 * r + 1] = second_of(from[r]);
    }
}
static __device__ __forceinline__ void pack(left_fragment &into, const float (&from)[LANES]) {
#pragma unroll
    for (int r = 0; r < 4; r++)
        into[r] = pair_of(from[2 * r], from[2 * r + 1]);
}

/* Coefficients of the fragment's four channels, [k] at the first of them. */
struct fragment_row {
    float at[4];

    __device__ __forceinline__ explicit fragment_row(const float *first) {
        float2 low = *reinterpret_cast<const float2 *>(first);
        float2 high = *reinterpret_cast<const float2 *>(first + 8);
        at[0] = low.x, at[1] = low.y, at[2] = high.x, at[3] = high.y;
    }
    __device__ __forceinline__ float of(int element) const {
        return at[element / 4 * 2 + element % 2];
    }
};

/* The rows of a lane's fragments, for what depends on the row: the gate of its image. */
struct fragment_rows {
    const bf16 *gate[2];
};

static __device__ __forceinline__ struct fragment_rows fragment_rows_at(const view_rows<bf16> &left,
                                                                        int row, int end) {
    struct fragment_rows rows = {};
    if (left.gate == NULL)
        return rows;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int of = row + half * 8 < end ? row + half * 8 : end - 1;
        rows.gate[half] = left.gate + (size_t)(of / left.area) * left.gate_ld;
    }
    return rows;
}
static __device__ __forceinline__ struct fragment_rows fragment_rows_at(const gradient_rows<bf16> &,
                                                                        int, int) {
    return {};
}

/* Fragments as they lie in memory become those of a; k is the lane's first, in_step the same within
 * the step. */
static __device__ __forceinline__ void make_fragment(const view_rows<bf16> &left,
                                                     const struct fragment_rows &rows,
                                                     left_fragment &fragment, const bf16 *,
                                                     const float *coefficients, int in_step,
                                                     int k) {
    if (left.scale == NULL && left.activation == ACTIVATION_NONE && left.gate == NULL)
        return;
    float a[LANES];
    unpack(a, fragment);
    if (left.scale != NULL) {
        fragment_row scale(coefficients + in_step), shift(coefficients + TENSOR_STEP + in_step);
#pragma unroll
        for (int i = 0; i < LANES; i++)
            a[i] = scale.of(i) * a[i] + shift.of(i);
    }
    activate8(left.activation, a);
    if (left.gate != NULL) {
        left_fragment raw;
        float gate[LANES];
#pragma unroll
        for (int r = 0; r < 4; r++)
            raw[r] = *reinterpret_cast<const unsigned *>(rows.gate[r % 2] + k + r / 2 * 8);
        unpack(gate, raw);
#pragma unroll
        for (int i = 0; i < LANES; i++)
            a[i] *= gate[i];
    }
    pack(fragment, a);
}

static __device__ __forceinline__ void make_fragment(const gradient_rows<bf16> &left,
                                                     const struct fragment_rows &,
                                                     left_fragment &fragment, const bf16 *at,
                                                     const float *coefficients, int in_step, int) {
    if (left.grad_y == NULL)
        return;
    left_fragment second;
    load_matrices(second, at + TENSOR_ROWS * TENSOR_STEP);
    float dz[LANES], z[LANES];
    unpack(dz, fragment), unpack(z, second);
    fragment_row grad_y(coefficients + in_step), grad_z(coefficients + TENSOR_STEP + in_step);
    fragment_row grad_one(coefficients + 2 * TENSOR_STEP + in_step);
#pragma unroll
    for (int i = 0; i < LANES; i++)
        dz[i] = grad_y.of(i) * dz[i] + (grad_z.of(i) * z[i] + grad_one.of(i));
    pack(fragment, dz);
}

/* Bits of a pair of k that are kept: the others may be NaN on either side. */
static __device__ __forceinline__ unsigned kept_pair(int k, int kept) {
    return (k < kept ? 0xffffu : 0u) | (k + 1 < kept ? 0xffff0000u : 0u);
}

/* One step of k for the warp's 16 rows. */
template <int COLUMNS, class Left>
static __device__ __forceinline__ void
tensor_multiply(sum_fragment (&sums)[COLUMNS / 8], const Left &left,
                const struct fragment_rows &rows, const char *step, int k) {
    typedef tensor_layout<COLUMNS, Left> layout;
    const bf16 *lefts = reinterpret_cast<const bf16 *>(step);
    const bf16 *rights = reinterpret_cast<const bf16 *>(step + layout::right);
    const float *coefficients = reinterpret_cast<const float *>(step + layout::coefficients);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, pair = lane % 4 * 2;
#pragma unroll
    for (int in_step = 0; in_step < TENSOR_STEP; in_step += 16) {
        if (k + in_step >= left.kept)
            return;
        bool masked = k + in_step + 16 > left.kept;
        unsigned low = kept_pair(k + in_step + pair, left.kept);
        unsigned high = kept_pair(k + in_step + pair + 8, left.kept);
        const bf16 *at = lefts + tensor_at(warp * 16 + lane % 16, in_step / LANES + lane / 16);
        left_fragment a;
        load_matrices(a, at);
        make_fragment(left, rows, a, at, coefficients, in_step + pair, k + in_step + pair);
        if (masked)
            a[0] &= low, a[1] &= low, a[2] &= high, a[3] &= high;
#pragma unroll
        for (int n = 0; n < COLUMNS; n += 16) {
            /* An odd last block of columns is loaded twice. */
            int column = n + lane / 16 * 8 + lane % 8;
            column = column < COLUMNS ? column : column - 8;
            unsigned b[4];
            load_matrices(b, rights + tensor_at(column, in_step / LANES + lane / 8 % 2));
            if (masked)
                b[0] &= low, b[1] &= high, b[2] &= low, b[3] &= high;
            right_fragment first = {b[0], b[1]}, second = {b[2], b[3]};
            multiply_add(sums[n / 8], a, first);
            if (n + 8 < COLUMNS)
                multiply_add(sums[n / 8 + 1], a, second);
        }
    }
}

/* The warp's sums go to the result, eight rows at a time. */
template <int COLUMNS, class Left, class Result>
static __device__ __forceinline__ void tensor_store(sum_fragment (&sums)[COLUMNS / 8],
                                                    Result &result, float *corner, int first_row,
                                                    int end, int first_column) {
    typedef tensor_layout<COLUMNS, Left> layout;
    int lane = threadIdx.x % WARP, octet = lane % layout::octets * LANES;
    bool busy = lane < layout::row_lanes * layout::octets && first_column + octet < result.kept;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        __syncwarp();
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n++)
            *reinterpret_cast<float2 *>(corner + lane / 4 * layout::pitch + n * 8 + lane % 4 * 2) =
                make_float2(sums[n][2 * half], sums[n][2 * half + 1]);
        __syncwarp();
#pragma unroll
        for (int pass = 0; pass < 8; pass += layout::row_lanes) {
            int in_half = pass + lane / layout::octets, row = first_row + half * 8 + in_half;
            if (busy && in_half < 8 && row < end) {
                float value[LANES];
                load8(value, corner + in_half * layout::pitch + octet);
                result.row(row, first_column + octet, value);
            }
        }
    }
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            sums[n][i] = 0;
}

template <int COLUMNS, class Source, class Target>
__global__ void __launch_bounds__(TENSOR_THREADS, COLUMNS > 64 ? 3 : 4)
    tensor_product_kernel(const struct segment *segments, Source source, const bf16 *weights,
                          int ld, Target target) {
    const struct segment segment = segments[blockIdx.z];
    typename left_of<bf16, Source>::rows left(source, segment);
    typename result_of<bf16, Target>::rows result(target, segment);
    typedef tensor_layout<COLUMNS, decltype(left)> layout;
    const struct partial_sums &norm_sums = sums_of(target);
    bool absent = result.kept == 0 || left.absent();
    struct part_rows part = rows_of_part(source.z, segment, blockIdx.y, gridDim.y, TENSOR_ROWS);
    if (norm_sums.parts > 0 && blockIdx.x == 0 && threadIdx.x == 0)
        *norm_sums.count_at(segment, blockIdx.y) = absent ? 0.0f : (float)(part.end - part.begin);
    int first_column = blockIdx.x * COLUMNS;
    if (absent || first_column >= result.kept || part.begin >= part.end)
        return;

    DYNAMIC_SHARED(char, shared);
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    float *corners = reinterpret_cast<float *>(shared + layout::shared - layout::corners);
    int last_k = left.kept > 0 ? (left.kept - 1) / TENSOR_STEP * TENSOR_STEP : 0;
    int copied_row = part.begin, copied_k = 0, copied_stage = 0;
    auto copy_step = [&]() {
        if (copied_row < part.end) {
            char *step = shared + copied_stage * layout::step;
            tensor_copy_left(left, step, reinterpret_cast<float *>(step + layout::coefficients),
                             copied_row, part.end, copied_k);
            tensor_copy_weights<COLUMNS>(reinterpret_cast<bf16 *>(step + layout::right), weights,
                                         ld, first_column, result.kept, copied_k);
        }
        copy_async_commit();
        bool row_done = copied_k == last_k;
        copied_k = row_done ? 0 : copied_k + TENSOR_STEP;
        copied_row += row_done ? TENSOR_ROWS : 0;
        copied_stage = copied_stage + 1 == layout::stages ? 0 : copied_stage + 1;
    };

#pragma unroll
    for (int i = 0; i < layout::stages - 1; i++)
        copy_step();
    result.begin(first_column + lane % layout::octets * LANES);
    sum_fragment sums[COLUMNS / 8] = {};
    int stage = 0;
    for (int first = part.begin; first < part.end; first += TENSOR_ROWS) {
        struct fragment_rows rows = fragment_rows_at(left, first + warp * 16 + lane / 4, part.end);
        for (int k = 0; k <= last_k; k += TENSOR_STEP) {
            copy_async_wait<layout::stages - 2>();
            __syncthreads();
            copy_step();
            tensor_multiply<COLUMNS>(sums, left, rows, shared + stage * layout::step, k);
            stage = stage + 1 == layout::stages ? 0 : stage + 1;
        }
        tensor_store<COLUMNS, decltype(left)>(sums, result, corners + warp * layout::corner,
                                              first + warp * 16, part.end, first_column);
    }
    copy_async_wait<0>();
    __syncthreads();
    int row_lane = lane / layout::octets;
    if (norm_sums.parts > 0)
        merge_sums(result, reinterpret_cast<float *>(shared), TENSOR_WARPS * layout::row_lanes,
                   row_lane < layout::row_lanes ? warp * layout::row_lanes + row_lane : -1, COLUMNS,
                   lane % layout::octets * LANES, norm_sums, segment, blockIdx.y, first_column);
}

#endif
