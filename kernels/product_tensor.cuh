/* The product on tensor cores: bf16 operands, float sums.
 *
 * A block of four warps makes a tile of rows x COLUMNS at a time and walks the tiles of its part.
 * Steps of k of all its tiles form one sequence, whose raw operands are copied to shared memory
 * some steps ahead. Each warp owns EACH times 16 rows: it makes its fragments in registers, once
 * per element, and hands its sums to threads of neighbouring channels through its own corner of
 * shared memory.
 */
#ifndef TAPER_PRODUCT_TENSOR_CUH
#define TAPER_PRODUCT_TENSOR_CUH

#include "product_left.cuh"

constexpr int TENSOR_SHARED = 227 << 10; /* of a multiprocessor, for all its blocks */

/* Shared memory, in bytes: steps; corners; what the result reads, of one tile; rows of constants
 * for the result; coefficients of the left side. */
template <int COLUMNS, int EACH, class Left, class Result> struct tensor_layout {
    static constexpr int rows = TENSOR_WARPS * 16 * EACH;
    static constexpr int right = Left::STREAMS * rows * TENSOR_STEP * 2;
    static constexpr int step = right + COLUMNS * TENSOR_STEP * 2;
    static constexpr int stages = Left::STREAMS * EACH > 2 ? 3 : 4;
    static constexpr int octets = COLUMNS / LANES;
    static constexpr int corner_rows = COLUMNS <= 32 ? 16 : 8;
    static constexpr int row_lanes = WARP / octets < corner_rows ? WARP / octets : corner_rows;
    static constexpr int pitch = COLUMNS % 16 == 0 ? COLUMNS + 8 : COLUMNS; /* floats */
    static constexpr int corner = corner_rows * pitch;                      /* floats of a warp */

    static constexpr int corners = stages * step;
    static constexpr int ahead = corners + TENSOR_WARPS * corner * 4;
    static constexpr int constants = ahead + (Result::AHEAD ? rows * COLUMNS * 2 : 0);
    static constexpr int coefficients = constants + TENSOR_WARPS * COLUMNS * 4;

    static constexpr int merge = merge_floats(TENSOR_WARPS * row_lanes, COLUMNS) * 4;
    static_assert(merge <= coefficients, "the merge takes the place of the steps");

    /* Blocks of a multiprocessor. */
    static constexpr int registers_allow = COLUMNS * EACH > 48 ? 3 : 4;
    static constexpr int room = TENSOR_SHARED / (coefficients + (4 << 10));
    static constexpr int blocks = room < registers_allow ? room : registers_allow;

    static int shared(int depth) { /* depth: most of k */
        return coefficients + Left::COEFFICIENTS * round_up(depth, TENSOR_STEP) * 4;
    }
};

/* Weights of one step, [column][k]. k past the kept channels, which may be NaN, becomes zero where
 * a fragment reaches. */
template <int COLUMNS>
static __device__ __forceinline__ void tensor_copy_weights(bf16 *to, const bf16 *at, int ld,
                                                           int columns, int kept) {
    if (kept <= (tensor_lane() % 16 == 0 ? 0 : -LANES))
        return;
    to += tensor_own();
#pragma unroll
    for (int pass = 0; pass < COLUMNS; pass += TENSOR_PASS) {
        if (pass >= columns || (pass + TENSOR_PASS > COLUMNS && tensor_row() + pass >= COLUMNS))
            return;
        const bf16 *from = at + (ptrdiff_t)pass * ld;
        if (kept >= LANES)
            copy_async(to + pass * TENSOR_STEP, from);
        else
            for (int i = 0; i < LANES; i++)
                to[pass * TENSOR_STEP + i] = i < kept ? from[i] : from_float<bf16>(0.0f);
    }
}

/* Bits of a pair of k that are kept: the others may be NaN. */
static __device__ __forceinline__ unsigned kept_pair(int k, int kept) {
    return (k < kept ? 0xffffu : 0u) | (k + 1 < kept ? 0xffff0000u : 0u);
}

/* One step of k for the warp's rows. */
template <int COLUMNS, int EACH, class Left>
static __device__ __forceinline__ void
tensor_multiply(sum_fragment (&sums)[EACH][COLUMNS / 8], const Left &left,
                const struct fragment_rows<EACH> &rows, const bf16 *lefts, const bf16 *rights,
                const float *coefficients, int pitch, int k) {
    constexpr int ROWS = TENSOR_WARPS * 16 * EACH;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, pair = lane % 4 * 2;
#pragma unroll
    for (int in_step = 0; in_step < TENSOR_STEP; in_step += 16) {
        int first = k + in_step;
        if (first >= left.kept)
            return;
        left_fragment a[EACH];
        make_fragments<EACH, ROWS>(
            left, rows, a,
            lefts + tensor_at(warp * 16 * EACH + lane % 16, in_step / LANES + lane / 16),
            coefficients + first + pair, pitch, first + pair);
        if (first + 16 > left.kept) {
            unsigned low = kept_pair(first + pair, left.kept);
            unsigned high = kept_pair(first + pair + 8, left.kept);
#pragma unroll
            for (int e = 0; e < EACH; e++)
                a[e][0] &= low, a[e][1] &= low, a[e][2] &= high, a[e][3] &= high;
        }
#pragma unroll
        for (int n = 0; n < COLUMNS; n += 16) {
            /* An odd last block of columns is loaded twice. */
            int column = lane / 16 * 8 + lane % 8;
            column = n + 8 < COLUMNS ? column : lane % 8;
            unsigned b[4];
            load_matrices(b, rights + n * TENSOR_STEP +
                                 tensor_at(column, in_step / LANES + lane / 8 % 2));
            right_fragment one = {b[0], b[1]}, other = {b[2], b[3]};
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                multiply_add(sums[e][n / 8], a[e], one);
                if (n + 8 < COLUMNS)
                    multiply_add(sums[e][n / 8 + 1], a[e], other);
            }
        }
    }
}

/* ------------------------------------------------------------------ the result's side */

/* What a thread knows of its columns stays in shared memory while it multiplies. Moments: a pivot
 * for each warp, the first of its sums; fetched while the corner still holds them. */
template <int COLUMNS>
static __device__ __forceinline__ void constants_begin(const output_rows<bf16> &, float *, int) {
}
template <int COLUMNS>
static __device__ __forceinline__ void constants_fetch(output_rows<bf16> &result, float *constants,
                                                       const float *corner, int octet,
                                                       bool starts) {
    if (!result.summing)
        return;
    float *own = constants + threadIdx.x / WARP * COLUMNS + octet;
    load8(result.pivot, starts ? corner + octet : own);
    if (starts && threadIdx.x % WARP < COLUMNS / LANES)
        store8(own, result.pivot);
}

template <int COLUMNS>
static __device__ __forceinline__ void constants_begin(const view_gradient_rows<bf16> &result,
                                                       float *constants, int first_column) {
    for (int i = threadIdx.x; i < COLUMNS; i += TENSOR_THREADS) {
        bool normed = result.through && result.scale != NULL && first_column + i < result.kept;
        constants[i] = normed ? result.scale[first_column + i] : 1.0f;
        constants[COLUMNS + i] = normed ? result.shift[first_column + i] : 0.0f;
        constants[2 * COLUMNS + i] = normed ? result.mean[first_column + i] : 0.0f;
    }
}
template <int COLUMNS>
static __device__ __forceinline__ void constants_fetch(view_gradient_rows<bf16> &result,
                                                       float *constants, const float *, int octet,
                                                       bool) {
    if (!result.through)
        return;
    load8(result.by, constants + octet), load8(result.plus, constants + COLUMNS + octet);
    load8(result.middle, constants + 2 * COLUMNS + octet);
}

/* Which octet of the columns a thread finishes, and in which rows of a pass over the corner. */
template <class Layout> struct store_lane {
    int octet, row;
    bool busy;

    __device__ __forceinline__ store_lane(int columns) {
        int lane = threadIdx.x % WARP;
        octet = lane % Layout::octets * LANES, row = lane / Layout::octets;
        busy = row < Layout::row_lanes && octet < columns;
    }
};

/* Copies what the result will read for the warp's rows of a tile; each thread copies what it will
 * read itself. rows: of the tile from the warp's first on. */
template <class Layout, int COLUMNS, int EACH, class Result>
static __device__ __forceinline__ void
tensor_read_ahead(const Result &result, bf16 *to, int first_row, int rows, int first_column) {
    struct store_lane<Layout> lane(result.kept - first_column);
    if (!Result::AHEAD || !lane.busy || !result.reads() || !result.reads_vectors())
        return;
    const bf16 *from = result.read_at(first_row + lane.row, first_column + lane.octet);
    ptrdiff_t ld = result.read_at(1, 0) - result.read_at(0, 0);
#pragma unroll
    for (int first = 0; first < 16 * EACH; first += Layout::corner_rows)
#pragma unroll
        for (int pass = 0; pass < Layout::corner_rows; pass += Layout::row_lanes)
            if (pass + lane.row < Layout::corner_rows && first + pass + lane.row < rows)
                copy_async(to + (first + pass + lane.row) * COLUMNS + lane.octet,
                           from + (first + pass) * ld);
}

/* The warp's sums go to the result, some rows at a time. */
template <class Layout, int COLUMNS, int EACH, class Result>
static __device__ __forceinline__ void
tensor_store(const sum_fragment (&sums)[EACH][COLUMNS / 8], Result &result, float *corner,
             const bf16 *ahead, float *constants, int first_row, int rows, int first_column,
             bool starts) {
    struct store_lane<Layout> lane(result.kept - first_column);
    bool whole = Result::AHEAD && result.reads_vectors();
    int at = threadIdx.x % WARP / 4 * Layout::pitch + threadIdx.x % 4 * 2;
#pragma unroll
    for (int first = 0; first < 16 * EACH; first += Layout::corner_rows) {
        __syncwarp();
#pragma unroll
        for (int eight = first / 8; eight < (first + Layout::corner_rows) / 8; eight++)
#pragma unroll
            for (int n = 0; n < COLUMNS / 8; n++)
                *reinterpret_cast<float2 *>(corner + at + (eight * 8 - first) * Layout::pitch +
                                            n * 8) =
                    make_float2(sums[eight / 2][n][eight % 2 * 2],
                                sums[eight / 2][n][eight % 2 * 2 + 1]);
        __syncwarp();
        if (first == 0)
            constants_fetch<COLUMNS>(result, constants, corner, lane.octet, starts);
#pragma unroll
        for (int pass = 0; pass < Layout::corner_rows; pass += Layout::row_lanes) {
            int row = pass + lane.row;
            if (!lane.busy || row >= Layout::corner_rows || first + row >= rows)
                continue;
            float value[LANES];
            load8(value, corner + row * Layout::pitch + lane.octet);
            const bf16 *read =
                whole ? ahead + (first + row) * COLUMNS + lane.octet
                      : result.read_at(first_row + first + row, first_column + lane.octet);
            result.put(first_row + first + row, first_column + lane.octet, value, read, whole);
        }
    }
}

/* ------------------------------------------------------------------ the kernel */

template <int COLUMNS, int EACH, class Source, class Target>
using tensor_layout_of = tensor_layout<COLUMNS, EACH, typename left_of<bf16, Source>::rows,
                                       typename result_of<bf16, Target>::rows>;

template <int COLUMNS, int EACH, class Source, class Target>
__global__ void __launch_bounds__(TENSOR_THREADS,
                                  (tensor_layout_of<COLUMNS, EACH, Source, Target>::blocks))
    tensor_product_kernel(const struct segment *segments, Source source, const bf16 *weights,
                          int ld, Target target) {
    const struct segment segment = segments[blockIdx.z];
    typedef typename left_of<bf16, Source>::rows Left;
    typedef typename result_of<bf16, Target>::rows Result;
    typedef tensor_layout_of<COLUMNS, EACH, Source, Target> layout;
    Left left(source, segment);
    Result result(target, segment);
    const struct partial_sums &norm_sums = sums_of(target);
    bool absent = result.kept == 0 || left.absent();
    struct part_rows part = rows_of_part(source.z, segment, blockIdx.y, gridDim.y, layout::rows);
    if (blockIdx.x == 0) /* there may be more parts than blocks */
        for (int other = threadIdx.x * gridDim.y + blockIdx.y; other < norm_sums.parts;
             other += TENSOR_THREADS * gridDim.y)
            *norm_sums.count_at(segment, other) =
                absent || threadIdx.x > 0 || other != (int)blockIdx.y
                    ? 0.0f
                    : (float)(part.end - part.begin);
    int first_column = blockIdx.x * COLUMNS;
    if (absent || first_column >= result.kept || part.begin >= part.end)
        return;

    DYNAMIC_SHARED(char, shared);
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    float *corner = reinterpret_cast<float *>(shared + layout::corners) + warp * layout::corner;
    bf16 *ahead = reinterpret_cast<bf16 *>(shared + layout::ahead) + warp * 16 * EACH * COLUMNS;
    float *constants = reinterpret_cast<float *>(shared + layout::constants);
    float *coefficients = reinterpret_cast<float *>(shared + layout::coefficients);
    int steps = left.kept > 0 ? (left.kept + TENSOR_STEP - 1) / TENSOR_STEP : 1;
    int pitch = steps * TENSOR_STEP;

    tensor_left<layout::rows, Left> streams(left, part.begin);
    const bf16 *column = weights + (size_t)(first_column + tensor_row()) * ld + tensor_lane();
    int copied_row = part.begin, copied_k = 0, copied_stage = 0;
    auto copy_step = [&]() {
        if (copied_row < part.end) {
            bf16 *step = reinterpret_cast<bf16 *>(shared + copied_stage * layout::step);
            int kept = left.kept - copied_k - tensor_lane();
            streams.copy(step, part.end - copied_row - tensor_row(), kept);
            tensor_copy_weights<COLUMNS>(step + layout::right / 2, column + copied_k, ld,
                                         result.kept - first_column - tensor_row(), kept);
            copied_k += TENSOR_STEP;
            bool row_done = copied_k == pitch;
            streams.next(row_done ? layout::rows : 0, row_done ? TENSOR_STEP - pitch : TENSOR_STEP);
            copied_row += row_done ? layout::rows : 0;
            copied_k = row_done ? 0 : copied_k;
            copied_stage = copied_stage + 1 == layout::stages ? 0 : copied_stage + 1;
        }
        copy_async_commit();
    };

    decltype(streams)::copy_coefficients(left, coefficients, pitch);
#pragma unroll
    for (int i = 0; i < layout::stages - 1; i++)
        copy_step();
    int in_tile = warp * 16 * EACH;
    result.sums.begin();
    result.advance(part.begin);
    tensor_read_ahead<layout, COLUMNS, EACH>(result, ahead, in_tile,
                                             part.end - part.begin - in_tile, first_column);
    if (Result::AHEAD)
        copy_async_commit();
    constants_begin<COLUMNS>(result, constants, first_column);
    int stage = 0;
    for (int first = part.begin; first < part.end; first += layout::rows) {
        sum_fragment sums[EACH][COLUMNS / 8] = {};
        struct fragment_rows<EACH> rows(left, first + in_tile + lane / 4, part.end);
        for (int k = 0; k < pitch; k += TENSOR_STEP) {
            copy_async_wait<layout::stages - 2>();
            __syncthreads();
            copy_step();
            const bf16 *step = reinterpret_cast<const bf16 *>(shared + stage * layout::step);
            tensor_multiply<COLUMNS, EACH>(sums, left, rows, step, step + layout::right / 2,
                                           coefficients, pitch, k);
            stage = stage + 1 == layout::stages ? 0 : stage + 1;
        }
        /* What was read ahead is older than the tile's steps, of which there is at least one. */
        if (Result::AHEAD)
            copy_async_wait<1>();
        tensor_store<layout, COLUMNS, EACH>(sums, result, corner, ahead, constants, in_tile,
                                            part.end - first - in_tile, first_column,
                                            first == part.begin);
        result.advance(layout::rows);
        if (Result::AHEAD) {
            if (first + layout::rows < part.end)
                tensor_read_ahead<layout, COLUMNS, EACH>(result, ahead, in_tile,
                                                         part.end - first - layout::rows - in_tile,
                                                         first_column);
            copy_async_commit();
        }
    }
    copy_async_wait<0>();
    __syncthreads();
    if (norm_sums.parts == 0)
        return;
    int octet = lane % layout::octets * LANES, row_lane = lane / layout::octets;
    constants_fetch<COLUMNS>(result, constants, corner, octet, false);
    __syncthreads(); /* the merge may reach the constants */
    merge_sums(result, reinterpret_cast<float *>(shared), TENSOR_WARPS * layout::row_lanes,
               row_lane < layout::row_lanes ? warp * layout::row_lanes + row_lane : -1, COLUMNS,
               octet, norm_sums, segment, blockIdx.y, first_column);
}

#endif
