/* The product on tensor cores: bf16 operands, float sums.
 *
 * A block of WM x WN warps makes a tile of rows x columns at a time and walks the tiles of its
 * part. Steps of k of all its tiles form one sequence, whose raw operands are copied to shared
 * memory some steps ahead; the left one is made into what is multiplied one step ahead. Where all
 * of k is few steps, the weights stay in shared memory for all tiles.
 *
 * A warp owns 32 rows and 8 N8 columns. Which columns the positions of a fragment stand for is ours
 * to choose: those that a lane holds are neighbours, 2 N8 of them, so that sums go from registers
 * to memory a vector at a time.
 */
#ifndef TAPER_PRODUCT_TENSOR_CUH
#define TAPER_PRODUCT_TENSOR_CUH

#include "product_left.cuh"

constexpr int TENSOR_SHARED = 227 << 10; /* of a multiprocessor, for all its blocks */
constexpr int TENSOR_RESIDENT = 5;       /* steps whose weights may stay */
constexpr int TENSOR_WARPS = 16;         /* of a multiprocessor, that registers allow */

/* Shared memory, in bytes: steps of the left side; the threads' sums; what they read ahead; rows of
 * constants for the result; steps of weights; coefficients of the left side. */
template <int WM, int WN, int N8, class Left, class Result> struct tensor_layout {
    static constexpr int threads = WM * WN * WARP;
    static constexpr int rows = WM * 32, columns = WN * N8 * 8;
    static constexpr int pass = threads / TENSOR_CHUNKS;
    /* The smallest tiles are for few rows and deep k: they wait for memory. */
    static constexpr int stages = rows == 32 ? 8 : rows * Left::STREAMS > 128 ? 3 : 4;
    static constexpr int blocks = TENSOR_WARPS / (WM * WN);

    static constexpr int left = Left::STREAMS * rows * TENSOR_STEP * 2;
    static constexpr int right = columns * TENSOR_STEP * 2;
    static constexpr int sums = stages * left;
    static constexpr int ahead = sums + threads * 2 * LANES * 4;
    static constexpr int constants = ahead + (Result::AHEAD ? rows * columns * 2 : 0);
    static constexpr int rights = constants + (WM > 3 ? WM : 3) * columns * 4;
    static_assert(merge_floats(WM, columns) * 4 <= sums, "the merge takes the steps' place");

    static int slots(int depth) { /* of weights */
        int steps = pieces(depth, TENSOR_STEP);
        return steps <= TENSOR_RESIDENT ? steps : stages;
    }
    static int shared(int depth) { /* depth: most of k */
        return rights + slots(depth) * right +
               Left::COEFFICIENTS * round_up(depth, TENSOR_STEP) * 4;
    }
};

/* ------------------------------------------------------------------ operands */

/* Weights of a step, [column][k]; the rows of a matrix are RUN columns apart by pairs, and must
 * fall on different banks. k past the kept channels, which may be NaN, becomes zero where a
 * fragment reaches. columns and kept: how many there are from the block's, the thread's first on.
 */
template <int COLUMNS, int PASS, int RUN>
static __device__ __forceinline__ void tensor_copy_weights(bf16 *to, const bf16 *from, int ld,
                                                           int columns, int kept) {
    constexpr int AT_ONCE = PASS / (4 * RUN) * (4 * RUN); /* every pass has the same banks */
    if (!tensor_reached(kept) || (AT_ONCE < PASS && tensor_row() >= AT_ONCE))
        return;
    int chunk = threadIdx.x % TENSOR_CHUNKS ^ (tensor_row() / RUN & 3);
    to += tensor_row() * TENSOR_STEP + chunk * LANES;
#pragma unroll
    for (int pass = 0; pass < COLUMNS; pass += AT_ONCE, from += (ptrdiff_t)AT_ONCE * ld) {
        if (pass >= columns || !tensor_in_pass<COLUMNS, AT_ONCE>(pass))
            return;
        if (kept <= 0 || kept >= LANES)
            copy_async_or_zero(to + pass * TENSOR_STEP, from, kept > 0);
        else
#pragma unroll 1
            for (int i = 0; i < LANES; i++)
                to[pass * TENSOR_STEP + i] = i < kept ? from[i] : from_float<bf16>(0.0f);
    }
}

/* Where a lane finds its rows of the warp's matrices in a step of either side. */
template <int N8> struct tensor_lanes {
    int left, right;

    __device__ __forceinline__ tensor_lanes(int first_row, int first_column) {
        int lane = threadIdx.x % WARP, row = lane % 8;
        left = tensor_at(first_row + lane % 16, lane / 16);
        int column = first_column + row / 2 * 2 * N8 + row % 2 + lane / 16 * 2;
        right = column * TENSOR_STEP + (lane / 8 % 2 ^ row / 2) * LANES;
    }
};

/* One step of k for the warp's rows and columns; kept: k from the step's first on. */
template <int N8>
static __device__ __forceinline__ void
tensor_multiply(sum_fragment (&sums)[2][N8], const bf16 *lefts, const bf16 *rights,
                const struct tensor_lanes<N8> &lanes, int kept) {
#pragma unroll
    for (int in_step = 0; in_step < TENSOR_STEP; in_step += 16) {
        if (in_step >= kept)
            return;
        left_fragment a[2];
#pragma unroll
        for (int e = 0; e < 2; e++)
            load_matrices(a[e], lefts + (lanes.left ^ in_step) + e * 16 * TENSOR_STEP);
#pragma unroll
        for (int n = 0; n < N8; n += 2) {
            unsigned b[4];
            load_matrices(b, rights + (lanes.right ^ in_step) + n * 2 * TENSOR_STEP);
            right_fragment one = {b[0], b[1]}, other = {b[2], b[3]};
#pragma unroll
            for (int e = 0; e < 2; e++) {
                multiply_add(sums[e][n], a[e], one);
                multiply_add(sums[e][n + 1], a[e], other);
            }
        }
    }
}

/* ------------------------------------------------------------------ the result's side */

/* The vectors of a warp's tile that a lane finishes: `count`, of the channels from `octet` on, in
 * rows `apart` from each other. */
template <int N8> struct store_lane;

template <> struct store_lane<4> {
    static constexpr int count = 4, apart = 8;
    static constexpr int same = WARP - 4; /* bits in which lanes of the same channels differ */

    static __device__ __forceinline__ int octet() {
        return threadIdx.x % 4 * LANES;
    }
    static __device__ __forceinline__ int row() {
        return threadIdx.x % WARP / 4;
    }
    static __device__ __forceinline__ void take(float (&value)[LANES],
                                                const sum_fragment (&sums)[2][4], int which) {
#pragma unroll
        for (int i = 0; i < LANES; i++)
            value[i] = sums[which / 2][i / 2][which % 2 * 2 + i % 2];
    }
};

/* A lane holds half a vector in each of two rows; it takes the other half of one from the lane
 * beside it. */
template <> struct store_lane<2> {
    static constexpr int count = 2, apart = 16;
    static constexpr int same = WARP - 4 + 1;

    static __device__ __forceinline__ int octet() {
        return threadIdx.x % 4 / 2 * LANES;
    }
    static __device__ __forceinline__ int row() {
        return threadIdx.x % WARP / 4 + threadIdx.x % 2 * 8;
    }
    static __device__ __forceinline__ void take(float (&value)[LANES],
                                                const sum_fragment (&sums)[2][2], int which) {
        bool odd = threadIdx.x % 2 != 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float upper = sums[which][i / 2][i % 2], lower = sums[which][i / 2][2 + i % 2];
            float other = __shfl_xor_sync(0xffffffffu, odd ? upper : lower, 1);
            value[i] = odd ? other : upper;
            value[4 + i] = odd ? lower : other;
        }
    }
};

/* What a thread knows of its columns stays in shared memory while it multiplies, and so do its
 * sums. Moments: a pivot that a warp has in common, so that its lanes' sums can be added. */
static __device__ __forceinline__ void constants_begin(output_rows<bf16> &, float *, int, int,
                                                       int) {
}
template <class Lane>
static __device__ __forceinline__ void constants_fetch(output_rows<bf16> &result, float *constants,
                                                       int columns, int warp_row,
                                                       const float (&value)[LANES], bool starts) {
    if (!result.summing)
        return;
    float *own = constants + warp_row * columns;
    if (!starts) {
        load8(result.pivot, own);
        return;
    }
    int first = threadIdx.x % WARP & ~Lane::same;
#pragma unroll
    for (int i = 0; i < LANES; i++)
        result.pivot[i] = __shfl_sync(0xffffffffu, value[i], first);
    if (first == (int)threadIdx.x % WARP)
        store8(own, result.pivot);
}

static __device__ __forceinline__ void constants_begin(view_gradient_rows<bf16> &result,
                                                       float *constants, int columns,
                                                       int first_column, int octet) {
    result.by = constants + octet, result.plus = result.by + columns;
    result.middle = result.plus + columns;
    if (!result.normed)
        return;
    for (int i = threadIdx.x * 4; i < columns && first_column + i < result.kept;
         i += blockDim.x * 4) {
        copy_async(constants + i, result.scale + first_column + i);
        copy_async(constants + columns + i, result.shift + first_column + i);
        copy_async(constants + 2 * columns + i, result.mean + first_column + i);
    }
}
template <class Lane>
static __device__ __forceinline__ void constants_fetch(view_gradient_rows<bf16> &, float *, int,
                                                       int, const float (&)[LANES], bool) {
}

static __device__ __forceinline__ void sums_fetch(struct row_sums &sums, const float4 *slots) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float4 four = slots[i * blockDim.x];
        float(&of)[LANES] = i < 2 ? sums.first : sums.second;
        of[i % 2 * 4] = four.x, of[i % 2 * 4 + 1] = four.y;
        of[i % 2 * 4 + 2] = four.z, of[i % 2 * 4 + 3] = four.w;
    }
}
static __device__ __forceinline__ void sums_leave(const struct row_sums &sums, float4 *slots) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float(&of)[LANES] = i < 2 ? sums.first : sums.second;
        slots[i * blockDim.x] =
            make_float4(of[i % 2 * 4], of[i % 2 * 4 + 1], of[i % 2 * 4 + 2], of[i % 2 * 4 + 3]);
    }
}

/* Copies what the thread will read of a tile. rows: from its first on. */
template <class Lane, class Result>
static __device__ __forceinline__ void tensor_read_ahead(const Result &result, uint4 *ahead,
                                                         int rows) {
    if (!result.reads() || !result.reads_vectors() || result.kept <= 0)
        return;
    const bf16 *from = result.read_at(0, 0);
    ptrdiff_t apart = result.read_at(Lane::apart, 0) - from;
#pragma unroll
    for (int v = 0; v < Lane::count; v++, from += apart)
        if (v * Lane::apart < rows)
            copy_async(ahead + v * blockDim.x, from);
}

/* The warp's sums go to the result, which ends behind the warp's rows. */
template <class Lane, int N8, class Result>
static __device__ __forceinline__ void
tensor_store(const sum_fragment (&sums)[2][N8], Result &result, const uint4 *ahead,
             float *constants, int columns, int warp_row, int rows, bool starts) {
    bool whole = Result::AHEAD && result.reads_vectors();
#pragma unroll
    for (int v = 0; v < Lane::count; v++, result.advance(Lane::apart)) {
        float value[LANES];
        Lane::take(value, sums, v);
        if (v == 0)
            constants_fetch<Lane>(result, constants, columns, warp_row, value, starts);
        if (v * Lane::apart >= rows || result.kept <= 0)
            continue;
        const bf16 *read =
            whole ? reinterpret_cast<const bf16 *>(ahead + v * blockDim.x) : result.read_at(0, 0);
        result.put(0, 0, value, read, whole);
    }
}

/* Adds the sums of a warp's lanes of the same channels. */
static __device__ __forceinline__ void add_lanes(struct row_sums &sums, int same) {
#pragma unroll
    for (int bit = 1; bit < WARP; bit *= 2) {
        if ((same & bit) == 0)
            continue;
        sums.rows += __shfl_xor_sync(0xffffffffu, sums.rows, bit);
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            sums.first[i] += __shfl_xor_sync(0xffffffffu, sums.first[i], bit);
            sums.second[i] += __shfl_xor_sync(0xffffffffu, sums.second[i], bit);
        }
    }
}

/* ------------------------------------------------------------------ the kernel */

template <int WM, int WN, int N8, class Source, class Target>
using tensor_layout_of = tensor_layout<WM, WN, N8, typename left_of<bf16, Source>::rows,
                                       typename result_of<bf16, Target>::rows>;

/* slots: steps of weights that there is room for. */
template <int WM, int WN, int N8, class Source, class Target>
__global__ void __launch_bounds__((tensor_layout_of<WM, WN, N8, Source, Target>::threads),
                                  (tensor_layout_of<WM, WN, N8, Source, Target>::blocks))
    tensor_product_kernel(const struct segment *segments, Source source, const bf16 *weights,
                          int ld, Target target, int slots) {
    const struct segment segment = segments[blockIdx.z];
    typedef typename left_of<bf16, Source>::rows Left;
    typedef typename result_of<bf16, Target>::rows Result;
    typedef tensor_layout_of<WM, WN, N8, Source, Target> layout;
    typedef store_lane<N8> store;
    Left left(source, segment);
    Result result(target, segment);
    const struct partial_sums &norm_sums = sums_of(target);
    bool absent = result.kept == 0 || left.absent();
    struct part_rows part = rows_of_part(source.z, segment, blockIdx.y, gridDim.y, layout::rows);
    if (blockIdx.x == 0) /* there may be more parts than blocks */
        for (int other = threadIdx.x * gridDim.y + blockIdx.y; other < norm_sums.parts;
             other += layout::threads * gridDim.y)
            *norm_sums.count_at(segment, other) =
                absent || threadIdx.x > 0 || other != (int)blockIdx.y
                    ? 0.0f
                    : (float)(part.end - part.begin);
    int first_column = blockIdx.x * layout::columns;
    if (absent || first_column >= result.kept || part.begin >= part.end)
        return;

    DYNAMIC_SHARED(char, shared);
    float4 *own_sums = reinterpret_cast<float4 *>(shared + layout::sums) + threadIdx.x;
    uint4 *ahead = reinterpret_cast<uint4 *>(shared + layout::ahead) + threadIdx.x;
    float *constants = reinterpret_cast<float *>(shared + layout::constants);
    bf16 *rights = reinterpret_cast<bf16 *>(shared + layout::rights);
    float *coefficients =
        reinterpret_cast<float *>(shared + layout::rights + slots * layout::right);
    int steps = left.kept > 0 ? (left.kept + TENSOR_STEP - 1) / TENSOR_STEP : 1;
    int pitch = steps * TENSOR_STEP;
    bool resident = steps <= slots;
    auto left_step = [&](int stage) {
        return reinterpret_cast<bf16 *>(shared + stage * layout::left);
    };
    auto right_step = [&](int stage, int k) {
        return rights + (resident ? k / TENSOR_STEP : stage) * (layout::right / 2);
    };
    auto next_stage = [](int stage) { return stage + 1 == layout::stages ? 0 : stage + 1; };

    typedef tensor_left<layout::rows, layout::pass, Left> left_side;
    left_side side(left, part.begin);
    const bf16 *column = weights + (size_t)(first_column + tensor_row()) * ld + tensor_lane();
    int columns = result.kept - first_column;
    int copied_row = part.begin, copied_k = 0;
    auto copy_step = [&](int stage) {
        if (copied_row < part.end) {
            int kept = left.kept - copied_k - tensor_lane();
            side.copy(left_step(stage), part.end - copied_row - tensor_row(), kept);
            if (!resident || copied_row == part.begin)
                tensor_copy_weights<layout::columns, layout::pass, 2 * N8>(
                    right_step(stage, copied_k), column + copied_k, ld, columns - tensor_row(),
                    kept);
            copied_k += TENSOR_STEP;
            bool row_done = copied_k == pitch;
            side.next(row_done ? layout::rows : 0, row_done ? TENSOR_STEP - pitch : TENSOR_STEP);
            copied_row += row_done ? layout::rows : 0;
            copied_k = row_done ? 0 : copied_k;
        }
        copy_async_commit();
    };
    bool direct = left_side::direct(left);
    auto fetch_step = [&](int row, int k) {
        if (direct || row >= part.end)
            return;
        if (k == 0)
            side.begin_tile(left, row, part.end);
        side.fetch(left, k);
    };
    auto make_step = [&](int row, int k, int stage) {
        if (!direct && row < part.end)
            side.make(left, left_step(stage), k, coefficients, pitch,
                      part.end - row - tensor_row());
    };

    int warp = threadIdx.x / WARP, in_tile = warp / WN * 32, in_columns = warp % WN * N8 * 8;
    const struct tensor_lanes<N8> lanes(in_tile, in_columns);
    bool busy = in_columns < columns;
    int row = in_tile + store::row(), octet = in_columns + store::octet();
    left_side::copy_coefficients(left, coefficients, pitch);
    constants_begin(result, constants, layout::columns, first_column, octet);
#pragma unroll 1
    for (int i = 0; i < layout::stages - 1; i++)
        copy_step(i);
    result.advance(part.begin + row);
    result.at_column(first_column + octet);
    fetch_step(part.begin, 0);
    copy_async_wait<layout::stages - 2>();
    __syncthreads(); /* coefficients are copied by others */
    make_step(part.begin, 0, 0);
    __syncthreads();
    int stage = 0;
    result.sums.begin();
    for (int first = part.begin; first < part.end; first += layout::rows) {
        if constexpr (Result::AHEAD) {
            tensor_read_ahead<store>(result, ahead, part.end - first - row);
            copy_async_commit();
        }
        sum_fragment sums[2][N8] = {};
        for (int k = 0; k < pitch; k += TENSOR_STEP) {
            int next_k = k + TENSOR_STEP < pitch ? k + TENSOR_STEP : 0;
            int next_row = next_k > 0 ? first : first + layout::rows;
            copy_step(stage > 0 ? stage - 1 : layout::stages - 1);
            fetch_step(next_row, next_k);
            if (busy)
                tensor_multiply<N8>(sums, left_step(stage), right_step(stage, k), lanes,
                                    left.kept - k);
            copy_async_wait<layout::stages - 2>();
            stage = next_stage(stage);
            make_step(next_row, next_k, stage);
            __syncthreads();
        }
        /* What was read ahead is older than the tile's steps. */
        if (Result::AHEAD && steps < layout::stages - 1)
            copy_async_wait<1>();
        if (first != part.begin)
            sums_fetch(result.sums, own_sums);
        if (busy)
            tensor_store<store, N8>(sums, result, ahead, constants + octet, layout::columns,
                                    warp / WN, part.end - first - row, first == part.begin);
        if (first + layout::rows < part.end)
            sums_leave(result.sums, own_sums);
        result.advance(layout::rows - 32);
    }
    copy_async_wait<0>();
    if (norm_sums.parts == 0)
        return;
    add_lanes(result.sums, store::same);
    result.kept += first_column + octet;
    bool leads = busy && (threadIdx.x % WARP & store::same) == 0;
    merge_sums(result, reinterpret_cast<float *>(shared), WM, leads ? warp / WN : -1,
               layout::columns, octet, norm_sums, segments[blockIdx.z], blockIdx.y, first_column);
}

#endif
