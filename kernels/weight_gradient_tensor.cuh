/* The weights' gradient on tensor cores: see weight_gradient.cuh for how rows are split.
 *
 * Both sides lie in shared memory as in memory, [row][channel]; the product wants them by columns,
 * which a transposed load of matrices gives. All warps copy steps ahead. Of the input, a thread
 * makes in place what it copied itself, always of the same channels, so that the coefficients stay
 * in its registers. dz is made of dy and z in the fragments of the product, or was made before.
 * Then each warp multiplies a piece of the tile; several may share a piece and take turns at the
 * rows.
 */
#ifndef TAPER_WEIGHT_GRADIENT_TENSOR_CUH
#define TAPER_WEIGHT_GRADIENT_TENSOR_CUH

#include "weight_gradient.cuh"
#include "weight_gradient_sides.cuh"

enum sum_kind {
    SUM_PLAIN,  /* dz of dy and z, a as it is */
    SUM_MADE,   /* dz of dy and z, a made */
    SUM_ALREADY /* dz as it is, a made */
};

/* A step: dy, z and a. OUT x IN pieces of a tile, TURNS warps that share one; BLOCKS on a
 * multiprocessor. */
template <enum sum_kind KIND, int OUTS_, int INS_, int ROWS, int STAGES, int OUT, int IN, int TURNS,
          int BLOCKS>
struct sum_layout {
    static constexpr int OUTS = OUTS_, INS = INS_, rows = ROWS, stages = STAGES, blocks = BLOCKS;
    static constexpr int warps_in = IN, turns = TURNS, warps = OUT * IN * TURNS;
    static constexpr bool makes_dz = KIND != SUM_ALREADY, makes_a = KIND != SUM_PLAIN;
    typedef sum_tile<OUTS, ROWS, warps> left;
    typedef sum_tile<INS, ROWS, warps, INS / IN / 8 % 2> right;
    static constexpr int a = (makes_dz ? 2 : 1) * left::stream;
    static constexpr int step = a + right::stream; /* elements */
    static constexpr int shared = STAGES * step * (int)sizeof(bf16);
    static constexpr int m = OUTS / OUT / 16, n = INS / IN / 8;
    typedef sum_fragment piece[m][n];
    typedef sum_gradient<makes_dz ? m : 0> gradient;
    static_assert(m * 16 * OUT == OUTS && n * 8 * IN == INS && ROWS % (16 * TURNS) == 0, "tile");
    static_assert(OUT * IN * (TURNS - 1) * WARP * m * n * 16 <= shared, "room to merge");
};

/* A warp's left fragments of 16 rows. */
template <class Layout>
static __device__ __forceinline__ void load_left(left_fragment (&left)[Layout::m],
                                                 const typename Layout::gradient &gradient,
                                                 const bf16 *from) {
#pragma unroll
    for (int m = 0; m < Layout::m; m++) {
        load_transposed(left[m], from + m * 16);
        if constexpr (Layout::makes_dz) {
            left_fragment z;
            load_transposed(z, from + Layout::left::stream + m * 16);
            gradient.make(left[m], z, m);
        }
    }
}

/* A warp's piece of the tile, in blocks of 16 outputs and 8 inputs. Rows past the end are zeros in
 * a, so that it does not matter what dz is there. */
template <class Layout>
static __device__ __forceinline__ void sum_multiply(typename Layout::piece &sums,
                                                    const typename Layout::gradient &gradient,
                                                    const bf16 *step, int out, int in) {
    constexpr int left_pitch = Layout::left::pitch, right_pitch = Layout::right::pitch;
    int lane = threadIdx.x % WARP, matrix = lane / 8;
    int turn = (int)threadIdx.x / WARP % Layout::turns * 16;
    const bf16 *of_dz =
        step + (turn + matrix / 2 * 8 + lane % 8) * left_pitch + out + matrix % 2 * 8;
    const bf16 *of_a =
        step + Layout::a + (turn + matrix % 2 * 8 + lane % 8) * right_pitch + in + matrix / 2 * 8;
#pragma unroll
    for (int k = 0; k < Layout::rows; k += 16 * Layout::turns) {
        left_fragment left[Layout::m];
        load_left<Layout>(left, gradient, of_dz + k * left_pitch);
#pragma unroll
        for (int n = 0; n < Layout::n; n += 2) {
            unsigned right[4];
            load_transposed(right, of_a + k * right_pitch + n * 8);
#pragma unroll
            for (int i = 0; i < 2 && n + i < Layout::n; i++) {
                right_fragment column = {right[i * 2], right[i * 2 + 1]};
#pragma unroll
                for (int m = 0; m < Layout::m; m++)
                    multiply_add(sums[m][n + i], left[m], column);
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
    bool vectors = dz.vectors && a.vectors && (!Layout::makes_dz || dz.vectors_z);
    sum_side<left_tile> dy(dz.dy, begin, dz.ld, out, dz.kept, vectors);
    sum_side<left_tile> z(dz.z, begin, dz.ld_z, out, dz.kept, vectors);
    sum_side<right_tile> of_a(a.z, begin, a.ld, in, a.kept, vectors);
    auto copy_step = [&](int first, int stage) {
        bf16 *step = shared + stage * Layout::step;
        int rows = end - first;
        if (rows > 0) {
            dy.copy(step, rows, Layout::rows);
            if (Layout::makes_dz)
                z.copy(step + left_tile::stream, rows, Layout::rows);
            of_a.copy(step + Layout::a, rows, Layout::rows);
        }
        copy_async_commit();
    };
#pragma unroll
    for (int i = 0; i < Layout::stages - 1; i++)
        copy_step(begin + i * Layout::rows, i);
    int piece = (int)threadIdx.x / WARP / Layout::turns;
    int of_out = piece / Layout::warps_in * (Layout::m * 16);
    int of_in = piece % Layout::warps_in * (Layout::n * 8);
    bool works = of_out < dz.kept - out && of_in < a.kept - in;
    typename Layout::gradient gradient(dz, out + of_out);
    sum_view<right_tile> view(a, begin, end, in);
    int stage = 0, next = Layout::stages - 1;
    for (int first = begin; first < end; first += Layout::rows) {
        bf16 *step = shared + stage * Layout::step;
        copy_async_wait<Layout::stages - 2>();
        if (Layout::makes_a)
            view.make(step + Layout::a, first, end - first);
        dy.mask(step, end - first);
        if (Layout::makes_dz)
            z.mask(step + left_tile::stream, end - first);
        of_a.mask(step + Layout::a, end - first);
        __syncthreads();
        copy_step(first + (Layout::stages - 1) * Layout::rows, next);
        if (works)
            sum_multiply<Layout>(sums, gradient, step, of_out, of_in);
        stage = stage + 1 == Layout::stages ? 0 : stage + 1;
        next = next + 1 == Layout::stages ? 0 : next + 1;
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

/* By whole blocks. */
template <class Layout>
static __device__ __forceinline__ void leave_piece(typename Layout::piece &sums, float *shared,
                                                   const struct weight_plan &plan, float *partial,
                                                   float *weight_gradient) {
    if (Layout::turns > 1)
        sum_merge<Layout>(sums, shared);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, piece = warp / Layout::turns;
    if (warp % Layout::turns > 0)
        return;
    int row = piece / Layout::warps_in * (Layout::m * 16) + lane / 4;
    int column = piece % Layout::warps_in * (Layout::n * 8) + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < Layout::m * 2; i++) {
        float of_row[Layout::n][2];
#pragma unroll
        for (int n = 0; n < Layout::n * 2; n++)
            of_row[n / 2][n % 2] = sums[i / 2][n / 2][i % 2 * 2 + n % 2];
        leave_sums(plan, partial, weight_gradient, row + i * 8, column, of_row);
    }
}

template <class Layout>
__global__ void __launch_bounds__(Layout::warps *WARP, Layout::blocks)
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
    leave_piece<Layout>(sums, reinterpret_cast<float *>(shared), plan, partial, weight_gradient);
}

#endif
