/* The weights' gradient on tensor cores: see weight_gradient.cuh for how rows are split.
 *
 * Both sides lie in shared memory as in memory, [row][channel]; the product wants them by columns,
 * which a transposed load of matrices gives. A thread makes dz and a in place out of what it copied
 * itself, always of the same channels, so that the coefficients stay in its registers.
 */
#ifndef TAPER_WEIGHT_GRADIENT_TENSOR_CUH
#define TAPER_WEIGHT_GRADIENT_TENSOR_CUH

#include "mma.cuh"
#include "weight_gradient.cuh"

constexpr int SUM_THREADS = 128, SUM_STAGES = 3;

/* One side of a step: ROWS rows of WIDTH channels. Rows are 64 or 128 bytes: chunks of 16 bytes are
 * permuted, so that the rows of a matrix fall on different banks. */
template <int WIDTH, int ROWS> struct sum_tile {
    static constexpr int chunks = WIDTH / LANES;
    static constexpr int stream = ROWS * WIDTH; /* elements */
    static constexpr int stride = SUM_THREADS / chunks;
    static constexpr int each = ROWS / stride; /* vectors of a thread */

    static __device__ __forceinline__ int at(int row, int chunk) {
        return row * WIDTH + (chunk ^ (WIDTH == 64 ? row & 7 : row >> 1 & 3)) * LANES;
    }
    /* The vectors that a thread copies and makes. */
    static __device__ __forceinline__ int row(int i) {
        return threadIdx.x / chunks + i * stride;
    }
    static __device__ __forceinline__ int chunk() {
        return threadIdx.x % chunks;
    }
};

/* A step: dy, z and a. Narrow tiles have more rows, so that as much is on its way. */
template <int OUTS, int INS> struct sum_layout {
    static constexpr int rows = OUTS + INS > 64 ? 32 : 64;
    typedef sum_tile<OUTS, rows> left;
    typedef sum_tile<INS, rows> right;
    static constexpr int a = 2 * left::stream;
    static constexpr int step = a + right::stream; /* elements */
    static constexpr int shared = SUM_STAGES * step * (int)sizeof(bf16);
    typedef sum_fragment quarter[OUTS / 32][INS / 16]; /* of a warp */
};

template <class Tile>
static __device__ __forceinline__ void sum_copy(bf16 *to, const bf16 *from, int ld, int kept,
                                                bool vectors, int first, int end, int column) {
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        int row = first + Tile::row(i);
        bf16 *at = to + Tile::at(Tile::row(i), Tile::chunk());
        const bf16 *source = from + (size_t)row * ld + column;
        if (row >= end || column >= kept)
            continue;
        if (vectors)
            copy_async(at, source);
        else
            for (int lane = 0; lane < LANES; lane++)
                at[lane] = column + lane < kept ? source[lane] : from_float<bf16>(0.0f);
    }
}

/* What stays in a thread's registers during a unit. */
struct sum_side {
    float by[LANES], by_z[LANES], plus[LANES];

    __device__ __forceinline__ void begin(const gradient_rows<bf16> &dz, int column) {
        if (dz.grad_y == NULL || column >= dz.kept)
            return;
        load8(by, dz.grad_y + column), load8(by_z, dz.grad_z + column);
        load8(plus, dz.grad_one + column);
    }
    __device__ __forceinline__ void begin(const view_rows<bf16> &a, int column) {
        if (a.scale == NULL || column >= a.kept)
            return;
        load8(by, a.scale + column), load8(plus, a.shift + column);
    }
};

/* Zero where there is no row or channel: the sums of several segments meet. */
static __device__ __forceinline__ void sum_leave(bf16 *at, float (&value)[LANES], int kept) {
#pragma unroll
    for (int i = 0; i < LANES; i++)
        value[i] = i < kept ? value[i] : 0.0f;
    *reinterpret_cast<uint4 *>(at) =
        make_uint4(pair_of(value[0], value[1]), pair_of(value[2], value[3]),
                   pair_of(value[4], value[5]), pair_of(value[6], value[7]));
}

template <class Tile>
static __device__ __forceinline__ void sum_make(const gradient_rows<bf16> &dz,
                                                const struct sum_side &side, bf16 *step, int first,
                                                int end, int column) {
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        bf16 *at = step + Tile::at(Tile::row(i), Tile::chunk());
        int kept = first + Tile::row(i) < end ? dz.kept - column : 0;
        if (dz.grad_y == NULL && kept >= LANES)
            continue;
        float value[LANES] = {}, z[LANES];
        if (kept > 0)
            load8(value, at);
        if (kept > 0 && dz.grad_y != NULL) {
            load8(z, at + Tile::stream);
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] =
                    side.by[lane] * value[lane] + (side.by_z[lane] * z[lane] + side.plus[lane]);
        }
        sum_leave(at, value, kept);
    }
}

template <class Tile>
static __device__ __forceinline__ void sum_make(const view_rows<bf16> &a,
                                                const struct sum_side &side, bf16 *step, int first,
                                                int end, int column) {
    bool plain = a.scale == NULL && a.activation == ACTIVATION_NONE && a.gate == NULL;
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        bf16 *at = step + Tile::at(Tile::row(i), Tile::chunk());
        int row = first + Tile::row(i), kept = row < end ? a.kept - column : 0;
        if (plain && kept >= LANES)
            continue;
        float value[LANES] = {}, gate[LANES];
        if (kept > 0) {
            load8(value, at);
            if (a.scale != NULL)
#pragma unroll
                for (int lane = 0; lane < LANES; lane++)
                    value[lane] = side.by[lane] * value[lane] + side.plus[lane];
            activate8(a.activation, value);
            if (a.gate != NULL) {
                load8(gate, a.gate + (size_t)(row / a.area) * a.gate_ld + column);
#pragma unroll
                for (int lane = 0; lane < LANES; lane++)
                    value[lane] *= gate[lane];
            }
        }
        sum_leave(at, value, kept);
    }
}

/* A warp makes a quarter of the tile, in blocks of 16 outputs and 8 inputs. */
template <int OUTS, int INS>
static __device__ __forceinline__ void sum_multiply(typename sum_layout<OUTS, INS>::quarter &sums,
                                                    const bf16 *step, int outs, int ins) {
    typedef sum_layout<OUTS, INS> layout;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, matrix = lane / 8;
    int out = warp / 2 * (OUTS / 2 / LANES), in = warp % 2 * (INS / 2 / LANES); /* chunks */
    if (out * LANES >= outs || in * LANES >= ins)
        return;
#pragma unroll
    for (int k = 0; k < layout::rows; k += 16) {
        left_fragment left[OUTS / 32];
        unsigned right[INS / 32][4];
#pragma unroll
        for (int m = 0; m < OUTS / 32; m++)
            load_transposed(left[m], step + layout::left::at(k + matrix / 2 * 8 + lane % 8,
                                                             out + m * 2 + matrix % 2));
#pragma unroll
        for (int n = 0; n < INS / 32; n++)
            load_transposed(right[n], step + layout::a +
                                          layout::right::at(k + matrix % 2 * 8 + lane % 8,
                                                            in + n * 2 + matrix / 2));
#pragma unroll
        for (int m = 0; m < OUTS / 32; m++)
#pragma unroll
            for (int n = 0; n < INS / 16; n++) {
                right_fragment column = {right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]};
                multiply_add(sums[m][n], left[m], column);
            }
    }
}

/* A unit's rows of dz^T a. */
template <int OUTS, int INS>
static __device__ __forceinline__ void
sum_unit(typename sum_layout<OUTS, INS>::quarter &sums, bf16 *shared, const gradient_rows<bf16> &dz,
         const view_rows<bf16> &a, const struct part_rows &rows, int out, int in) {
    typedef sum_layout<OUTS, INS> layout;
    typedef typename layout::left left_tile;
    typedef typename layout::right right_tile;
    struct sum_side left, right;
    int of_dz = out + left_tile::chunk() * LANES, of_a = in + right_tile::chunk() * LANES;
    left.begin(dz, of_dz), right.begin(a, of_a);
    auto copy_step = [&](int first, int stage) {
        bf16 *step = shared + stage * layout::step;
        if (first < rows.end) {
            sum_copy<left_tile>(step, dz.dy, dz.ld, dz.kept, dz.vectors, first, rows.end, of_dz);
            if (dz.grad_y != NULL)
                sum_copy<left_tile>(step + left_tile::stream, dz.z, dz.ld_z, dz.kept, dz.vectors_z,
                                    first, rows.end, of_dz);
            sum_copy<right_tile>(step + layout::a, a.z, a.ld, a.kept, a.vectors, first, rows.end,
                                 of_a);
        }
        copy_async_commit();
    };
#pragma unroll
    for (int i = 0; i < SUM_STAGES - 1; i++)
        copy_step(rows.begin + i * layout::rows, i);
    int stage = 0, next = SUM_STAGES - 1;
    for (int first = rows.begin; first < rows.end; first += layout::rows) {
        bf16 *step = shared + stage * layout::step;
        copy_async_wait<SUM_STAGES - 2>();
        sum_make<left_tile>(dz, left, step, first, rows.end, of_dz);
        sum_make<right_tile>(a, right, step + layout::a, first, rows.end, of_a);
        __syncthreads();
        copy_step(first + (SUM_STAGES - 1) * layout::rows, next);
        sum_multiply<OUTS, INS>(sums, step, dz.kept - out, a.kept - in);
        stage = stage + 1 == SUM_STAGES ? 0 : stage + 1;
        next = next + 1 == SUM_STAGES ? 0 : next + 1;
    }
    copy_async_wait<0>();
    __syncthreads();
}

template <int OUTS, int INS>
__global__ void __launch_bounds__(SUM_THREADS, 4)
    tensor_weight_kernel(const struct segment *segments, struct weight_plan plan,
                         struct device_view view, struct device_gradient gradient, float *partial,
                         float *weight_gradient) {
    int out = blockIdx.x / plan.across * OUTS, in = blockIdx.x % plan.across * INS;
    int steps = steps_of_tile(plan, segments, out, in);
    if (steps == 0)
        return;
    DYNAMIC_SHARED(bf16, shared);
    typename sum_layout<OUTS, INS>::quarter sums = {};
    each_run(plan, segments, steps, blockIdx.y, out, in,
             [&](const struct segment &segment, int begin, int end) {
                 gradient_rows<bf16> dz(gradient, segment);
                 view_rows<bf16> a(view, segment);
                 struct part_rows rows = {begin, end};
                 sum_unit<OUTS, INS>(sums, shared, dz, a, rows, out, in);
             });
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
    for (int m = 0; m < OUTS / 32; m++)
#pragma unroll
        for (int n = 0; n < INS / 16; n++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                leave_sums(plan, partial, weight_gradient,
                           warp / 2 * (OUTS / 2) + m * 16 + lane / 4 + i * 8,
                           warp % 2 * (INS / 2) + n * 8 + lane % 4 * 2, sums[m][n][2 * i],
                           sums[m][n][2 * i + 1]);
}

#endif
