/* The two sides of the weights' gradient, dz and a, as steps of rows in shared memory, copied while
 * earlier ones are multiplied. See weight_gradient_tensor.cuh. */
#ifndef TAPER_WEIGHT_GRADIENT_SIDES_CUH
#define TAPER_WEIGHT_GRADIENT_SIDES_CUH

#include "mma.cuh"
#include "product.cuh"

/* One side of a step: ROWS rows of WIDTH channels, the work of WARPS warps; a thread has the same
 * channels of every row that it copies. Rows are an odd number of vectors apart, so that those of a
 * matrix fall on different banks. SPARE: vectors behind a row that are loaded and not used; other
 * rows may not lie there, whose writers nobody waits for. */
template <int WIDTH, int ROWS, int WARPS, int SPARE = 0> struct sum_tile {
    static constexpr int chunks = WIDTH / LANES;
    static constexpr int pitch = ((chunks + SPARE) | 1) * LANES;
    static constexpr int stream = ROWS * pitch; /* elements */
    static constexpr int stride = WARPS * WARP / chunks;
    static constexpr int each = (ROWS + stride - 1) / stride; /* vectors of a thread */

    static __device__ __forceinline__ int row(int i) {
        return (int)threadIdx.x / chunks + i * stride;
    }
    static __device__ __forceinline__ int chunk() {
        return (int)threadIdx.x % chunks;
    }
    static __device__ __forceinline__ int at(int i) {
        return row(i) * pitch + chunk() * LANES;
    }
    static __device__ __forceinline__ bool has(int i) {
        return threadIdx.x < stride * chunks && ((i + 1) * stride <= ROWS || row(i) < ROWS);
    }
};

/* A thread's way through a run of rows. */
template <class Tile> struct sum_side {
    const bf16 *from; /* of its first row of the next step */
    int ld, kept;     /* lanes of its vectors */
    bool vectors;

    __device__ __forceinline__ sum_side(const bf16 *rows, int row, int stride, int first, int all,
                                        bool aligned) {
        int column = first + Tile::chunk() * LANES;
        from = rows + (size_t)(row + Tile::row(0)) * stride + column;
        ld = stride, kept = all - column, vectors = aligned;
    }
    /* Rows that do not start on vectors: logits. */
    __device__ __forceinline__ void copy_lanes(bf16 *to, int rows) const {
#pragma unroll 1
        for (int i = 0; i < Tile::each * LANES; i++) {
            int vector = i / LANES, lane = i % LANES;
            bool there = Tile::row(vector) < rows && lane < kept;
            if (Tile::has(vector))
                to[Tile::at(vector) + lane] =
                    there ? from[vector * Tile::stride * ld + lane] : from_float<bf16>(0.0f);
        }
    }
    /* The next `step` rows; zeros from `rows` on. */
    __device__ __forceinline__ void copy(bf16 *to, int rows, int step) {
        if (!vectors)
            copy_lanes(to, rows);
#pragma unroll
        for (int i = 0; i < Tile::each; i++)
            if (vectors && Tile::has(i))
                copy_async_or_zero(to + Tile::at(i), from + i * Tile::stride * ld,
                                   Tile::row(i) < rows && kept > 0);
        from += step * ld;
    }
    /* Lanes past the kept ones become zero: the sums of several segments meet. */
    __device__ __forceinline__ void mask(bf16 *step, int rows) const {
#pragma unroll 1
        for (int i = 0; kept > 0 && kept < LANES && i < Tile::each; i++)
            for (int lane = kept; lane < LANES; lane++)
                if (Tile::has(i) && Tile::row(i) < rows)
                    step[Tile::at(i) + lane] = from_float<bf16>(0.0f);
    }
};

/* What the layer sees of its input, made in place of what the thread has copied. */
template <class Tile> struct sum_view {
    const view_rows<bf16> &a;
    const bf16 *gates; /* of its channels */
    float by[LANES], plus[LANES];
    uint4 gate, next;           /* of the row's image and of the one after it */
    int image, image_end, last; /* of the run */
    int kept;
    bool makes;

    __device__ __forceinline__ sum_view(const view_rows<bf16> &a, int begin, int end, int in)
        : a(a) {
        int column = in + Tile::chunk() * LANES;
        kept = a.kept - column;
        makes = a.scale != NULL || a.activation != ACTIVATION_NONE || a.gate != NULL;
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
            by[lane] = 1, plus[lane] = 0;
        if (a.scale != NULL && kept > 0)
            load8(by, a.scale + column), load8(plus, a.shift + column);
        if (a.gate == NULL || kept <= 0)
            return;
        last = (end - 1) / a.area, image = min((begin + Tile::row(0)) / a.area, last);
        image_end = (image + 1) * a.area;
        gates = a.gate + column;
        gate = gate_of(image), next = gate_of(min(image + 1, last));
    }
    __device__ __forceinline__ uint4 gate_of(int of) const {
        return *reinterpret_cast<const uint4 *>(gates + (size_t)of * a.gate_ld);
    }
    /* Rows come in their order: the next image's gate is on its way. */
    __device__ __forceinline__ void times_gate(float (&value)[LANES], int row) {
        while (row >= image_end) {
            image++, image_end += a.area;
            gate = next, next = gate_of(min(image + 1, last));
        }
        const unsigned word[4] = {gate.x, gate.y, gate.z, gate.w};
#pragma unroll
        for (int i = 0; i < LANES / 2; i++)
            value[2 * i] *= first_of(word[i]), value[2 * i + 1] *= second_of(word[i]);
    }
    /* `first` is the step's first row. */
    __device__ __forceinline__ void make_as(enum activation kind, bf16 *step, int first, int rows) {
#pragma unroll
        for (int i = 0; i < Tile::each; i++) {
            if (!Tile::has(i) || Tile::row(i) >= rows || kept <= 0)
                continue;
            bf16 *at = step + Tile::at(i);
            float value[LANES];
            load8(value, at);
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] = activate(kind, fmaf(by[lane], value[lane], plus[lane]));
            if (a.gate != NULL)
                times_gate(value, first + Tile::row(i));
            store8(at, value);
        }
    }
    __device__ __forceinline__ void make(bf16 *step, int first, int rows) {
        if (!makes)
            return;
        with_activation(a.activation, [&](auto kind) { make_as(kind, step, first, rows); });
    }
};

/* dz = by dy + by_z z + plus in the fragments of a left operand, whose registers hold two rows of
 * one channel each: a lane keeps the coefficients of its two channels in each of M blocks of 16. */
template <int M> struct sum_gradient {
    float by[M][2], by_z[M][2], plus[M][2];

    __device__ __forceinline__ sum_gradient(const gradient_rows<bf16> &dz, int first) {
#pragma unroll
        for (int i = 0; i < M * 2; i++) {
            int channel = first + i * 8 + (int)threadIdx.x % WARP / 4;
            bool there = channel < dz.kept;
            by[i / 2][i % 2] = there ? dz.grad_y[channel] : 0.0f;
            by_z[i / 2][i % 2] = there ? dz.grad_z[channel] : 0.0f;
            plus[i / 2][i % 2] = there ? dz.grad_one[channel] : 0.0f;
        }
    }
    __device__ __forceinline__ void make(left_fragment &dy, const left_fragment &z, int m) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int half = i % 2;
            float first = fmaf(by_z[m][half], first_of(z[i]), plus[m][half]);
            float second = fmaf(by_z[m][half], second_of(z[i]), plus[m][half]);
            dy[i] = pair_of(fmaf(by[m][half], first_of(dy[i]), first),
                            fmaf(by[m][half], second_of(dy[i]), second));
        }
    }
};
/* Nothing is to be made. */
template <> struct sum_gradient<0> {
    __device__ __forceinline__ sum_gradient(const gradient_rows<bf16> &, int) {
    }
};

#endif
