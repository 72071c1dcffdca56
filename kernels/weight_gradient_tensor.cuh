/* The weights' gradient on tensor cores: see weight_gradient.cuh for how rows are split.
 *
 * Both sides lie in shared memory as in memory, [row][channel]; the product wants them by columns,
 * which a transposed load of matrices gives. Some warps copy and make dz, the others a: a thread
 * makes in place what it copied itself, always of the same channels, so that the coefficients stay
 * in its registers. Then all warps multiply: each has a piece of the tile, and where the tile is
 * small several share a piece and take turns at the rows.
 */
#ifndef TAPER_WEIGHT_GRADIENT_TENSOR_CUH
#define TAPER_WEIGHT_GRADIENT_TENSOR_CUH

#include "mma.cuh"
#include "weight_gradient.cuh"

constexpr int SUM_WARPS = 8, SUM_THREADS = SUM_WARPS * WARP, SUM_STAGES = 3;
constexpr int SUM_BLOCKS = 264; /* that the device has at once: two to a multiprocessor */

/* One side of a step: ROWS rows of WIDTH channels, the work of WARPS warps from FIRST on. Rows are
 * an odd number of vectors apart, so that those of a matrix fall on different banks. */
template <int WIDTH, int ROWS, int FIRST, int WARPS> struct sum_tile {
    static constexpr int chunks = WIDTH / LANES;
    static constexpr int pitch = (chunks | 1) * LANES;
    static constexpr int stream = ROWS * pitch; /* elements */
    static constexpr int stride = WARPS * WARP / chunks;
    static constexpr int each = (ROWS + stride - 1) / stride; /* vectors of a thread */

    static __device__ __forceinline__ int thread() {
        return (int)threadIdx.x - FIRST * WARP;
    }
    static __device__ __forceinline__ int row(int i) {
        return thread() / chunks + i * stride;
    }
    static __device__ __forceinline__ int chunk() {
        return thread() % chunks;
    }
    static __device__ __forceinline__ int at(int i) {
        return row(i) * pitch + chunk() * LANES;
    }
    static __device__ __forceinline__ bool has(int i) {
        return thread() < stride * chunks && ((i + 1) * stride <= ROWS || row(i) < ROWS);
    }
};

/* A step: dy, z and a. OUT x IN warps with a piece of the tile each, LEFT warps that make dz. */
template <int OUTS_, int INS_, int ROWS, int OUT, int IN, int LEFT> struct sum_layout {
    static constexpr int OUTS = OUTS_, INS = INS_, rows = ROWS;
    static constexpr int warps_left = LEFT, warps_out = OUT, warps_in = IN;
    static constexpr int turns = SUM_WARPS / (OUT * IN); /* warps that share a piece */
    typedef sum_tile<OUTS, ROWS, 0, LEFT> left;
    typedef sum_tile<INS, ROWS, LEFT, SUM_WARPS - LEFT> right;
    static constexpr int a = 2 * left::stream;
    static constexpr int step = a + right::stream; /* elements */
    static constexpr int shared = (SUM_STAGES * step + LANES) * (int)sizeof(bf16);
    static constexpr int m = OUTS / OUT / 16, n = INS / IN / 8;
    typedef sum_fragment piece[m][n];
    static_assert(m * 16 * OUT == OUTS && n * 8 * IN == INS && ROWS % (16 * turns) == 0, "tile");
    static_assert(OUT * IN * (turns - 1) * WARP * m * n * 16 <= shared, "room to merge");
};

/* What a thread knows of its side during a run of rows. */
struct sum_side {
    const bf16 *from, *from_z; /* of its first row of the next step */
    int ld, ld_z, kept;        /* lanes of its vectors */
    bool vectors, vectors_z, makes;
    float by[LANES], by_z[LANES], plus[LANES]; /* a: by_z is the gate */
    int image, image_end;                      /* a: of the gate */
};

template <class Tile>
static __device__ __forceinline__ void sum_copy(bf16 *to, const bf16 *from, int ld, int kept,
                                                bool vectors, int rows) {
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        if (!Tile::has(i))
            continue;
        bf16 *at = to + Tile::at(i);
        const bf16 *source = from + i * Tile::stride * ld;
        bool there = Tile::row(i) < rows && kept > 0;
        if (vectors)
            copy_async_or_zero(at, source, there);
        else
            for (int lane = 0; lane < LANES; lane++)
                at[lane] = there && lane < kept ? source[lane] : from_float<bf16>(0.0f);
    }
}

/* Lanes past the kept ones are zero: the sums of several segments meet. */
static __device__ __forceinline__ void sum_leave(bf16 *at, const float (&value)[LANES], int kept) {
    unsigned word[LANES / 2];
#pragma unroll
    for (int i = 0; i < LANES / 2; i++) {
        word[i] = pair_of(value[2 * i], value[2 * i + 1]);
        if (kept < LANES)
            word[i] &= (kept > 2 * i ? 0xffffu : 0) | (kept > 2 * i + 1 ? 0xffff0000u : 0);
    }
    *reinterpret_cast<uint4 *>(at) = make_uint4(word[0], word[1], word[2], word[3]);
}

/* ------------------------------------------------------------------ dz */

template <class Tile>
static __device__ __forceinline__ void sum_begin(struct sum_side &side,
                                                 const gradient_rows<bf16> &dz, int row, int out) {
    int column = out + Tile::chunk() * LANES;
    side.kept = dz.kept - column;
    side.ld = dz.ld, side.ld_z = dz.ld_z;
    side.vectors = dz.vectors, side.vectors_z = dz.vectors_z;
    side.from = dz.dy + (size_t)(row + Tile::row(0)) * dz.ld + column;
    side.from_z = dz.z + (size_t)(row + Tile::row(0)) * dz.ld_z + column;
    side.makes = dz.grad_y != NULL;
    if (!side.makes || side.kept <= 0)
        return;
    load8(side.by, dz.grad_y + column), load8(side.by_z, dz.grad_z + column);
    load8(side.plus, dz.grad_one + column);
}

template <class Tile>
static __device__ __forceinline__ void
sum_make(const gradient_rows<bf16> &, const struct sum_side &side, bf16 *step, int, int rows) {
    if (side.kept <= 0 || (!side.makes && side.kept >= LANES))
        return;
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        if (!Tile::has(i) || Tile::row(i) >= rows)
            continue;
        bf16 *at = step + Tile::at(i);
        float value[LANES], z[LANES];
        load8(value, at);
        if (side.makes) {
            load8(z, at + Tile::stream);
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] = fmaf(side.by[lane], value[lane],
                                   fmaf(side.by_z[lane], z[lane], side.plus[lane]));
        }
        sum_leave(at, value, side.kept);
    }
}

/* ------------------------------------------------------------------ a */

template <class Tile>
static __device__ __forceinline__ void sum_begin(struct sum_side &side, const view_rows<bf16> &a,
                                                 int row, int in) {
    int column = in + Tile::chunk() * LANES;
    side.kept = a.kept - column;
    side.ld = a.ld, side.vectors = a.vectors;
    side.from = a.z + (size_t)(row + Tile::row(0)) * a.ld + column;
    side.makes = a.scale != NULL || a.activation != ACTIVATION_NONE || a.gate != NULL;
    side.image = (row + Tile::row(0)) / a.area - 1, side.image_end = (side.image + 1) * a.area;
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
        side.by[lane] = 1, side.plus[lane] = 0;
    if (a.scale != NULL && side.kept > 0)
        load8(side.by, a.scale + column), load8(side.plus, a.shift + column);
}

static __device__ __forceinline__ void sum_activate(enum activation activation, float (&y)[LANES]) {
    if (activation != ACTIVATION_HARD_SWISH) {
        activate8(activation, y);
        return;
    }
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
        y[lane] *= __saturatef(fmaf(y[lane], 1.0f / 6.0f, 0.5f));
}

/* `first` is the step's first row. */
template <class Tile>
static __device__ __forceinline__ void sum_make(const view_rows<bf16> &a, struct sum_side &side,
                                                bf16 *step, int first, int rows, int in) {
    if (side.kept <= 0 || (!side.makes && side.kept >= LANES))
        return;
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        if (!Tile::has(i) || Tile::row(i) >= rows)
            continue;
        bf16 *at = step + Tile::at(i);
        float value[LANES];
        load8(value, at);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
            value[lane] = fmaf(side.by[lane], value[lane], side.plus[lane]);
        sum_activate(a.activation, value);
        if (a.gate != NULL) {
            if (first + Tile::row(i) >= side.image_end) {
                while (first + Tile::row(i) >= side.image_end)
                    side.image++, side.image_end += a.area;
                load8(side.by_z,
                      a.gate + (size_t)side.image * a.gate_ld + in + Tile::chunk() * LANES);
            }
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] *= side.by_z[lane];
        }
        sum_leave(at, value, side.kept);
    }
}

/* ------------------------------------------------------------------ the product */

/* A warp's piece of the tile, in blocks of 16 outputs and 8 inputs. */
template <class Layout>
static __device__ __forceinline__ void sum_multiply(typename Layout::piece &sums, const bf16 *step,
                                                    int outs, int ins) {
    typedef typename Layout::left left_tile;
    typedef typename Layout::right right_tile;
    constexpr int PAIRS = (Layout::n + 1) / 2;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, matrix = lane / 8;
    int piece = warp / Layout::turns, out = piece / Layout::warps_in * (Layout::m * 16);
    int in = piece % Layout::warps_in * (Layout::n * 8);
    if (out >= outs || in >= ins)
        return;
    const bf16 *of_dz = step + (matrix / 2 * 8 + lane % 8) * left_tile::pitch + out +
                        matrix % 2 * 8 + warp % Layout::turns * 16 * left_tile::pitch;
    const bf16 *of_a = step + Layout::a + (matrix % 2 * 8 + lane % 8) * right_tile::pitch + in +
                       matrix / 2 * 8 + warp % Layout::turns * 16 * right_tile::pitch;
#pragma unroll
    for (int k = 0; k < Layout::rows; k += 16 * Layout::turns) {
        unsigned right[PAIRS][4];
#pragma unroll
        for (int n = 0; n < PAIRS; n++)
            load_transposed(right[n], of_a + k * right_tile::pitch + n * 16);
#pragma unroll
        for (int m = 0; m < Layout::m; m++) {
            left_fragment left;
            load_transposed(left, of_dz + k * left_tile::pitch + m * 16);
#pragma unroll
            for (int n = 0; n < Layout::n; n++) {
                right_fragment column = {right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]};
                multiply_add(sums[m][n], left, column);
            }
        }
    }
}

/* dz^T a of the rows [begin, end) of a segment. */
template <class Layout>
static __device__ __forceinline__ void
sum_run(typename Layout::piece &sums, bf16 *shared, const gradient_rows<bf16> &dz,
        const view_rows<bf16> &a, int begin, int end, int out, int in) {
    typedef typename Layout::left left_tile;
    typedef typename Layout::right right_tile;
    bool makes_dz = threadIdx.x < Layout::warps_left * WARP;
    struct sum_side side;
    if (makes_dz)
        sum_begin<left_tile>(side, dz, begin, out);
    else
        sum_begin<right_tile>(side, a, begin, in);
    auto copy_step = [&](int first, int stage) {
        bf16 *step = shared + stage * Layout::step;
        int rows = end - first;
        if (rows > 0 && makes_dz) {
            sum_copy<left_tile>(step, side.from, side.ld, side.kept, side.vectors, rows);
            if (side.makes)
                sum_copy<left_tile>(step + left_tile::stream, side.from_z, side.ld_z, side.kept,
                                    side.vectors_z, rows);
            side.from_z += Layout::rows * side.ld_z;
        } else if (rows > 0) {
            sum_copy<right_tile>(step + Layout::a, side.from, side.ld, side.kept, side.vectors,
                                 rows);
        }
        side.from += Layout::rows * side.ld;
        copy_async_commit();
    };
#pragma unroll
    for (int i = 0; i < SUM_STAGES - 1; i++)
        copy_step(begin + i * Layout::rows, i);
    int stage = 0, next = SUM_STAGES - 1;
    for (int first = begin; first < end; first += Layout::rows) {
        bf16 *step = shared + stage * Layout::step;
        copy_async_wait<SUM_STAGES - 2>();
        if (makes_dz)
            sum_make<left_tile>(dz, side, step, first, end - first);
        else
            sum_make<right_tile>(a, side, step + Layout::a, first, end - first, in);
        __syncthreads();
        copy_step(first + (SUM_STAGES - 1) * Layout::rows, next);
        sum_multiply<Layout>(sums, step, dz.kept - out, a.kept - in);
        stage = stage + 1 == SUM_STAGES ? 0 : stage + 1;
        next = next + 1 == SUM_STAGES ? 0 : next + 1;
    }
    copy_async_wait<0>();
    __syncthreads();
}

/* Adds what warps have of the same piece, in their order, to the first's. */
template <class Layout>
static __device__ __forceinline__ void sum_merge(typename Layout::piece &sums, float *shared) {
    constexpr int COUNT = Layout::m * Layout::n * 4;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int piece = warp / Layout::turns, turn = warp % Layout::turns;
    float *others = shared + piece * (Layout::turns - 1) * COUNT * WARP + lane;
    if (turn > 0)
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            others[((turn - 1) * COUNT + i) * WARP] =
                sums[i / 4 / Layout::n][i / 4 % Layout::n][i % 4];
    __syncthreads();
    if (turn == 0)
#pragma unroll 1
        for (int other = 0; other < Layout::turns - 1; other++)
#pragma unroll
            for (int i = 0; i < COUNT; i++)
                sums[i / 4 / Layout::n][i / 4 % Layout::n][i % 4] +=
                    others[(other * COUNT + i) * WARP];
}

template <class Layout>
__global__ void __launch_bounds__(SUM_THREADS, 2)
    tensor_weight_kernel(const struct segment *segments, struct weight_plan plan,
                         struct device_view view, struct device_gradient gradient, float *partial,
                         float *weight_gradient) {
    int out = blockIdx.x / plan.across * Layout::OUTS, in = blockIdx.x % plan.across * Layout::INS;
    int steps = steps_of_tile(plan, segments, out, in);
    if (steps == 0)
        return;
    DYNAMIC_SHARED(bf16, shared);
    typename Layout::piece sums = {};
    each_run(plan, segments, steps, blockIdx.y, out, in,
             [&](const struct segment &segment, int begin, int end) {
                 gradient_rows<bf16> dz(gradient, segment);
                 view_rows<bf16> a(view, segment);
                 sum_run<Layout>(sums, shared, dz, a, begin, end, out, in);
             });
    if (Layout::turns > 1)
        sum_merge<Layout>(sums, reinterpret_cast<float *>(shared));
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, piece = warp / Layout::turns;
    if (warp % Layout::turns > 0)
        return;
    int row = piece / Layout::warps_in * (Layout::m * 16) + lane / 4;
    int column = piece % Layout::warps_in * (Layout::n * 8) + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < Layout::m; m++)
#pragma unroll
        for (int n = 0; n < Layout::n; n++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                leave_sums(plan, partial, weight_gradient, row + m * 16 + i * 8, column + n * 8,
                           sums[m][n][2 * i], sums[m][n][2 * i + 1]);
}

#endif
