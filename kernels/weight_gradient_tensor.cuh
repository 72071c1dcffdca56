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

constexpr int SUM_ROWS = 32; /* of a step */
constexpr int SUM_THREADS = 128;
constexpr int SUM_STAGES = 3;
constexpr int SUM_STREAM = SUM_ROWS * WEIGHT_TILE; /* elements: dy, z and a are one each */
constexpr int SUM_SHARED = SUM_STAGES * 3 * SUM_STREAM * (int)sizeof(bf16);
constexpr int SUM_EACH = SUM_ROWS * WEIGHT_TILE / LANES / SUM_THREADS; /* vectors of a thread */

/* Rows are 128 bytes: chunks of 16 bytes are permuted, so that the rows of a matrix fall on
 * different banks. */
static __device__ __forceinline__ int sum_at(int row, int chunk) {
    return row * WEIGHT_TILE + (chunk ^ (row & 7)) * LANES;
}

/* The vectors that a thread copies and makes: rows threadIdx.x / 8 + 16 i of a step. */
static __device__ __forceinline__ int sum_row(int i) {
    return threadIdx.x / (WEIGHT_TILE / LANES) + i * (SUM_THREADS * LANES / WEIGHT_TILE);
}
static __device__ __forceinline__ int sum_chunk() {
    return threadIdx.x % (WEIGHT_TILE / LANES);
}

static __device__ __forceinline__ void sum_copy(bf16 *to, const bf16 *from, int ld, int kept,
                                                bool vectors, int first, int end, int column) {
#pragma unroll
    for (int i = 0; i < SUM_EACH; i++) {
        int row = first + sum_row(i);
        bf16 *at = to + sum_at(sum_row(i), sum_chunk());
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
    store8(at, value);
}

static __device__ __forceinline__ void sum_make(const gradient_rows<bf16> &dz,
                                                const struct sum_side &side, bf16 *step, int first,
                                                int end, int column) {
#pragma unroll
    for (int i = 0; i < SUM_EACH; i++) {
        bf16 *at = step + sum_at(sum_row(i), sum_chunk());
        int kept = first + sum_row(i) < end ? dz.kept - column : 0;
        if (dz.grad_y == NULL && kept >= LANES)
            continue;
        float value[LANES] = {}, z[LANES];
        if (kept > 0)
            load8(value, at);
        if (kept > 0 && dz.grad_y != NULL) {
            load8(z, at + SUM_STREAM);
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] =
                    side.by[lane] * value[lane] + (side.by_z[lane] * z[lane] + side.plus[lane]);
        }
        sum_leave(at, value, kept);
    }
}

static __device__ __forceinline__ void sum_make(const view_rows<bf16> &a,
                                                const struct sum_side &side, bf16 *step, int first,
                                                int end, int column) {
    bool plain = a.scale == NULL && a.activation == ACTIVATION_NONE && a.gate == NULL;
#pragma unroll
    for (int i = 0; i < SUM_EACH; i++) {
        bf16 *at = step + sum_at(sum_row(i), sum_chunk());
        int row = first + sum_row(i), kept = row < end ? a.kept - column : 0;
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

/* A warp's quarter of the tile, 32 by 32: left blocks of 16 outputs, right blocks of 8 inputs. */
typedef sum_fragment quarter_sums[2][4];

static __device__ __forceinline__ void sum_multiply(quarter_sums &sums, const bf16 *dz,
                                                    const bf16 *a, int outs, int ins) {
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, matrix = lane / 8;
    int out = warp / 2 * 4, in = warp % 2 * 4; /* in chunks */
    if (out * LANES >= outs || in * LANES >= ins)
        return;
#pragma unroll
    for (int k = 0; k < SUM_ROWS; k += 16) {
        left_fragment left[2];
        unsigned right[2][4];
#pragma unroll
        for (int m = 0; m < 2; m++)
            load_transposed(left[m],
                            dz + sum_at(k + matrix / 2 * 8 + lane % 8, out + m * 2 + matrix % 2));
#pragma unroll
        for (int n = 0; n < 2; n++)
            load_transposed(right[n],
                            a + sum_at(k + matrix % 2 * 8 + lane % 8, in + n * 2 + matrix / 2));
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int n = 0; n < 4; n++) {
                right_fragment column = {right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]};
                multiply_add(sums[m][n], left[m], column);
            }
    }
}

/* A unit's rows of dz^T a. */
static __device__ __forceinline__ void sum_unit(quarter_sums &sums, bf16 *shared,
                                                const gradient_rows<bf16> &dz,
                                                const view_rows<bf16> &a,
                                                const struct part_rows &rows, int out, int in) {
    struct sum_side left, right;
    int column = out + sum_chunk() * LANES, row_column = in + sum_chunk() * LANES;
    left.begin(dz, column), right.begin(a, row_column);
    auto copy_step = [&](int first, int stage) {
        bf16 *step = shared + stage * 3 * SUM_STREAM;
        if (first < rows.end) {
            sum_copy(step, dz.dy, dz.ld, dz.kept, dz.vectors, first, rows.end, column);
            if (dz.grad_y != NULL)
                sum_copy(step + SUM_STREAM, dz.z, dz.ld_z, dz.kept, dz.vectors_z, first, rows.end,
                         column);
            sum_copy(step + 2 * SUM_STREAM, a.z, a.ld, a.kept, a.vectors, first, rows.end,
                     row_column);
        }
        copy_async_commit();
    };
#pragma unroll
    for (int i = 0; i < SUM_STAGES - 1; i++)
        copy_step(rows.begin + i * SUM_ROWS, i);
    int stage = 0, next = SUM_STAGES - 1;
    for (int first = rows.begin; first < rows.end; first += SUM_ROWS) {
        bf16 *step = shared + stage * 3 * SUM_STREAM;
        copy_async_wait<SUM_STAGES - 2>();
        sum_make(dz, left, step, first, rows.end, column);
        sum_make(a, right, step + 2 * SUM_STREAM, first, rows.end, row_column);
        __syncthreads();
        copy_step(first + (SUM_STAGES - 1) * SUM_ROWS, next);
        sum_multiply(sums, step, step + 2 * SUM_STREAM, dz.kept - out, a.kept - in);
        stage = stage + 1 == SUM_STAGES ? 0 : stage + 1;
        next = next + 1 == SUM_STAGES ? 0 : next + 1;
    }
    copy_async_wait<0>();
    __syncthreads();
}

static __global__ void __launch_bounds__(SUM_THREADS, 4)
    tensor_weight_kernel(const struct segment *segments, struct weight_plan plan,
                         struct device_view view, struct device_gradient gradient, float *partial) {
    int across = (plan.inputs + WEIGHT_TILE - 1) / WEIGHT_TILE, split = blockIdx.y;
    int out = blockIdx.x / across * WEIGHT_TILE, in = blockIdx.x % across * WEIGHT_TILE;
    if (!split_keeps(plan, segments, gradient.z.kept, view.z.kept, split, out, in))
        return;
    DYNAMIC_SHARED(bf16, shared);
    quarter_sums sums = {};
    for (int unit = plan.first_unit(split); unit < plan.first_unit(split + 1); unit++) {
        const struct segment segment = segments[unit / plan.pieces];
        gradient_rows<bf16> dz(gradient, segment);
        view_rows<bf16> a(view, segment);
        if (out >= dz.kept || in >= a.kept)
            continue;
        struct part_rows rows = rows_of_unit(plan, view.z, segment, unit, SUM_ROWS);
        sum_unit(sums, shared, dz, a, rows, out, in);
    }
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float *to = partial + (size_t)split * plan.outputs * plan.inputs;
    for (int m = 0; m < 2; m++)
        for (int n = 0; n < 4; n++)
            for (int i = 0; i < 4; i++) {
                int row = out + warp / 2 * 32 + m * 16 + lane / 4 + i / 2 * 8;
                int column = in + warp % 2 * 32 + n * 8 + lane % 4 * 2 + i % 2;
                if (row < plan.outputs && column < plan.inputs)
                    to[(size_t)row * plan.inputs + column] = sums[m][n][i];
            }
}

#endif
