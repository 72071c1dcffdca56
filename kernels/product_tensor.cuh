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
constexpr int TENSOR_RESIDENT = 160;     /* k whose weights may stay */
constexpr int TENSOR_WARPS = 16;         /* of a multiprocessor, that registers allow */

/* Shared memory, in bytes: steps of the left side; the threads' sums; what they read ahead; rows of
 * constants for the result; steps of weights; coefficients of the left side. */
template <int WM, int WN, int N8, int STEP, class Left, class Result> struct tensor_layout {
    static constexpr int threads = WM * WN * WARP, run = 2 * N8;
    static constexpr int rows = WM * 32, columns = WN * N8 * 8;
    static constexpr int most_blocks = TENSOR_WARPS / (WM * WN);

    static constexpr int left = Left::STREAMS * rows * STEP * 2, right = columns * STEP * 2;
    static constexpr int own = threads * 2 * LANES * 4 + (Result::AHEAD ? rows * columns * 2 : 0);
    static constexpr int room = TENSOR_SHARED / most_blocks - own - (12 << 10);
    /* An A100 gives a block 163 kB. */
    static constexpr int fit = (room < 112 << 10 ? room : 112 << 10) / (left + right);
    /* The smallest tiles are for few rows and deep k: they wait for memory. */
    static constexpr int stages = rows == 32 ? 8 : fit < 3 ? 3 : fit > 6 ? 6 : fit;

    static constexpr int sums = stages * left;
    static constexpr int ahead = sums + threads * 2 * LANES * 4;
    static constexpr int constants = sums + own;
    static constexpr int rights = constants + (WM > 3 ? WM : 3) * columns * 4;
    static constexpr int have_room = TENSOR_SHARED / (rights + 3 * right);
    static constexpr int blocks = have_room < most_blocks ? have_room : most_blocks;
    static_assert(merge_floats(WM, columns) * 4 <= sums, "the merge takes the steps' place");

    static int slots(int depth) { /* of weights */
        return depth <= TENSOR_RESIDENT ? pieces(depth, STEP) : stages;
    }
    static int shared(int depth) { /* depth: most of k */
        return rights + slots(depth) * right + Left::COEFFICIENTS * round_up(depth, STEP) * 4;
    }
};

/* ------------------------------------------------------------------ operands */

/* Where a chunk of a column's weights lies: the rows of a matrix are RUN columns apart by pairs,
 * and must fall on different banks. */
template <int STEP, int RUN> static __device__ __forceinline__ int right_at(int column, int chunk) {
    int pair = column / RUN & 3;
    int other = STEP == 64 ? pair * 2 + (column & 1) : STEP == 32 ? pair : pair & 1;
    return column * STEP + (chunk ^ other) * LANES;
}

/* Weights of a step, [column][k]. k past the kept channels, which may be NaN, is zero. columns and
 * kept: how many there are from the thread's first on. */
template <int COLUMNS, int RUN, class Share>
static __device__ __forceinline__ void tensor_copy_weights(bf16 *to, const bf16 *from, int ld,
                                                           int columns, int kept) {
    constexpr int AT_ONCE = Share::pass / (4 * RUN) * (4 * RUN); /* every pass has the same banks */
    if (AT_ONCE < Share::pass && Share::row() >= AT_ONCE)
        return;
    int bytes = Share::bytes(kept);
    to += right_at<Share::step, RUN>(Share::row(), Share::chunk());
#pragma unroll
    for (int pass = 0; pass < COLUMNS; pass += AT_ONCE, from += (ptrdiff_t)AT_ONCE * ld)
        if (pass + AT_ONCE <= COLUMNS || pass + Share::row() < COLUMNS)
            copy_async_some(to + pass * Share::step, from, pass < columns ? bytes : 0);
}

/* Where a lane finds its rows of the warp's matrices in a step of either side. */
template <int N8, class Share> struct tensor_lanes {
    int left, right;

    __device__ __forceinline__ tensor_lanes(int first_row, int first_column) {
        int lane = threadIdx.x % WARP, row = lane % 8;
        left = Share::at(first_row + lane % 16, lane / 16);
        right =
            right_at<Share::step, 2 * N8>(first_column + row / 2 * 2 * N8 + row % 2, lane / 8 % 2) +
            lane / 16 * 2 * Share::step;
    }
};

/* One step of k for the warp's rows and columns; kept: k from the step's first on. */
template <int N8, class Share>
static __device__ __forceinline__ void
tensor_multiply(sum_fragment (&sums)[2][N8], const bf16 *lefts, const bf16 *rights,
                const struct tensor_lanes<N8, Share> &lanes, int kept) {
#pragma unroll
    for (int in_step = 0; in_step < Share::step; in_step += 16) {
        if (in_step >= kept)
            return;
        left_fragment a[2];
#pragma unroll
        for (int e = 0; e < 2; e++)
            load_matrices(a[e], lefts + (lanes.left ^ in_step) + e * 16 * Share::step);
#pragma unroll
        for (int n = 0; n < N8; n += 2) {
            unsigned b[4];
            load_matrices(b, rights + (lanes.right ^ in_step) + n * 2 * Share::step);
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

/* Rows of a part that a thread has finished; row: its first in a tile. */
template <class Lane>
static __device__ __forceinline__ int rows_finished(int rows, int row, int tile) {
    int finished = 0;
#pragma unroll
    for (int v = 0; v < Lane::count; v++)
        finished += max(0, rows - row - v * Lane::apart + tile - 1) / tile;
    return finished;
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

template <int WM, int WN, int N8, int STEP, class Source, class Target>
using tensor_layout_of = tensor_layout<WM, WN, N8, STEP, typename left_of<bf16, Source>::rows,
                                       typename result_of<bf16, Target>::rows>;

/* slots: steps of weights that there is room for. */
template <int WM, int WN, int N8, int STEP, class Source, class Target>
__global__ void __launch_bounds__((tensor_layout_of<WM, WN, N8, STEP, Source, Target>::threads),
                                  (tensor_layout_of<WM, WN, N8, STEP, Source, Target>::blocks))
    tensor_product_kernel(const struct segment *segments, Source source, const bf16 *weights,
                          int ld, Target target, int slots) {
    const struct segment segment = segments[blockIdx.z];
    typedef typename left_of<bf16, Source>::rows Left;
    typedef typename result_of<bf16, Target>::rows Result;
    typedef tensor_layout_of<WM, WN, N8, STEP, Source, Target> layout;
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
    typedef tensor_share<STEP, layout::threads> share;
    int pitch = left.kept > 0 ? (left.kept + STEP - 1) / STEP * STEP : STEP;
    bool resident = pitch <= slots * STEP;
    auto left_step = [&](int at) { return reinterpret_cast<bf16 *>(shared + at); };
    auto right_step = [&](int at, int k) {
        return rights + (resident ? k / STEP : at / layout::left) * (layout::right / 2);
    };
    auto next_left = [](int at) {
        return at + layout::left == layout::stages * layout::left ? 0 : at + layout::left;
    };

    typedef tensor_left<layout::rows, share, Left> left_side;
    left_side side(left, part.begin);
    const bf16 *column = weights + (size_t)(first_column + share::row()) * ld + share::lane();
    int columns = result.kept - first_column;
    int copied_rows = part.end - part.begin - share::row(), copied_kept = left.kept - share::lane();
    bool weights_too = true;
    auto copy_step = [&](int to) {
        if (copied_rows + share::row() > 0) {
            if (share::reached(copied_kept)) {
                side.copy(left_step(to), copied_rows, copied_kept);
                if (weights_too)
                    tensor_copy_weights<layout::columns, layout::run, share>(
                        right_step(to, left.kept - share::lane() - copied_kept), column, ld,
                        columns - share::row(), copied_kept);
            }
            copied_kept -= STEP;
            if (copied_kept + share::lane() > 0) {
                side.next(0, STEP);
                column += STEP;
            } else {
                side.next(layout::rows, STEP - pitch);
                column += STEP - pitch;
                copied_rows -= layout::rows;
                copied_kept = left.kept - share::lane();
                weights_too = !resident;
            }
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
    auto make_step = [&](int row, int k, int at) {
        if (!direct && row < part.end)
            side.make(left, left_step(at), k, coefficients, pitch);
    };

    int warp = threadIdx.x / WARP, in_tile = warp / WN * 32, in_columns = warp % WN * N8 * 8;
    const struct tensor_lanes<N8, share> lanes(in_tile, in_columns);
    bool busy = in_columns < columns;
    int row = in_tile + store::row(), octet = in_columns + store::octet();
    left_side::copy_coefficients(left, coefficients, pitch);
    constants_begin(result, constants, layout::columns, first_column, octet);
#pragma unroll 1
    for (int i = 0; i < layout::stages - 1; i++)
        copy_step(i * layout::left);
    result.advance(part.begin + row);
    result.at_column(first_column + octet);
    fetch_step(part.begin, 0);
    copy_async_wait<layout::stages - 2>();
    __syncthreads(); /* coefficients are copied by others */
    make_step(part.begin, 0, 0);
    __syncthreads();
    int at = 0;
    result.sums.begin();
    bool starts = true;
    for (int first = part.begin; first < part.end; first += layout::rows) {
        if constexpr (Result::AHEAD) {
            tensor_read_ahead<store>(result, ahead, part.end - first - row);
            copy_async_commit();
        }
        sum_fragment sums[2][N8] = {};
        for (int k = 0; k < pitch; k += STEP) {
            int next_k = k + STEP < pitch ? k + STEP : 0;
            int next_row = next_k > 0 ? first : first + layout::rows;
            copy_step(at > 0 ? at - layout::left : (layout::stages - 1) * layout::left);
            fetch_step(next_row, next_k);
            if (busy)
                tensor_multiply<N8, share>(sums, left_step(at), right_step(at, k), lanes,
                                           left.kept - k);
            copy_async_wait<layout::stages - 2>();
            at = next_left(at);
            make_step(next_row, next_k, at);
            __syncthreads();
        }
        /* What was read ahead is older than the tile's steps. */
        if (Result::AHEAD && pitch < (layout::stages - 1) * STEP)
            copy_async_wait<1>();
        if (!starts)
            sums_fetch(result.sums, own_sums);
        if (busy)
            tensor_store<store, N8>(sums, result, ahead, constants + octet, layout::columns,
                                    warp / WN, part.end - first - row, starts);
        starts = false;
        if (first + layout::rows < part.end)
            sums_leave(result.sums, own_sums);
        result.advance(layout::rows - 32);
    }
    copy_async_wait<0>();
    if (norm_sums.parts == 0)
        return;
    part = rows_of_part(source.z, segments[blockIdx.z], blockIdx.y, gridDim.y, layout::rows);
    result.sums.rows = rows_finished<store>(part.end - part.begin, row, layout::rows);
    add_lanes(result.sums, store::same);
    result.kept += first_column + octet;
    bool leads = busy && (threadIdx.x % WARP & store::same) == 0;
    merge_sums(result, reinterpret_cast<float *>(shared), WM, leads ? warp / WN : -1,
               layout::columns, octet, norm_sums, segments[blockIdx.z], blockIdx.y, first_column);
}

#endif
