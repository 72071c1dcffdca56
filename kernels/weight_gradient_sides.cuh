/* The two sides of the weights' gradient, dz and a, as steps of rows in shared memory: copied while
 * earlier ones are multiplied, then made in place. See weight_gradient_tensor.cuh. */
#ifndef TAPER_WEIGHT_GRADIENT_SIDES_CUH
#define TAPER_WEIGHT_GRADIENT_SIDES_CUH

#include "mma.cuh"
#include "product.cuh"

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

/* What a thread knows of its side during a run of rows. */
struct sum_side {
    const bf16 *from, *from_z; /* of its first row of the next step */
    int ld, ld_z, kept;        /* lanes of its vectors */
    bool vectors, vectors_z, makes;
    float by[LANES], by_z[LANES], plus[LANES]; /* a: by_z is the gate */
    int image, image_end;                      /* a: of the gate */
};

/* Rows that do not start on vectors: logits. */
template <class Tile>
static __device__ __forceinline__ void sum_copy_lanes(bf16 *to, const bf16 *from, int ld, int kept,
                                                      int rows) {
#pragma unroll 1
    for (int i = 0; i < Tile::each * LANES; i++) {
        int vector = i / LANES, lane = i % LANES;
        bool there = Tile::row(vector) < rows && lane < kept;
        if (Tile::has(vector))
            to[Tile::at(vector) + lane] =
                there ? from[vector * Tile::stride * ld + lane] : from_float<bf16>(0.0f);
    }
}

template <class Tile>
static __device__ __forceinline__ void sum_copy(bf16 *to, const bf16 *from, int ld, int kept,
                                                bool vectors, int rows) {
    if (!vectors) {
        sum_copy_lanes<Tile>(to, from, ld, kept, rows);
        return;
    }
#pragma unroll
    for (int i = 0; i < Tile::each; i++)
        if (Tile::has(i))
            copy_async_or_zero(to + Tile::at(i), from + i * Tile::stride * ld,
                               Tile::row(i) < rows && kept > 0);
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

/* The same where nothing is to be made. */
template <class Tile>
static __device__ __forceinline__ void sum_mask(bf16 *step, int kept, int rows) {
#pragma unroll 1
    for (int i = 0; kept > 0 && kept < LANES && i < Tile::each; i++) {
        float value[LANES];
        if (!Tile::has(i) || Tile::row(i) >= rows)
            continue;
        load8(value, step + Tile::at(i));
        sum_leave(step + Tile::at(i), value, kept);
    }
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
static __device__ __forceinline__ void sum_make_dz(const struct sum_side &side, bf16 *step,
                                                   int rows) {
    if (!side.makes) {
        sum_mask<Tile>(step, side.kept, rows);
        return;
    }
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        if (!Tile::has(i) || Tile::row(i) >= rows || side.kept <= 0)
            continue;
        bf16 *at = step + Tile::at(i);
        float value[LANES], z[LANES];
        load8(value, at), load8(z, at + Tile::stream);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
            value[lane] =
                fmaf(side.by[lane], value[lane], fmaf(side.by_z[lane], z[lane], side.plus[lane]));
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

/* The gate of the row's image: rows come in their order. */
template <class Tile>
static __device__ __forceinline__ void sum_gate(const view_rows<bf16> &a, struct sum_side &side,
                                                int row, int in) {
    if (row < side.image_end)
        return;
    while (row >= side.image_end)
        side.image++, side.image_end += a.area;
    load8(side.by_z, a.gate + (size_t)side.image * a.gate_ld + in + Tile::chunk() * LANES);
}

/* `first` is the step's first row. */
template <class Tile, enum activation ACTIVATION>
static __device__ __forceinline__ void sum_make_as(const view_rows<bf16> &a, struct sum_side &side,
                                                   bf16 *step, int first, int rows, int in) {
#pragma unroll
    for (int i = 0; i < Tile::each; i++) {
        if (!Tile::has(i) || Tile::row(i) >= rows || side.kept <= 0)
            continue;
        bf16 *at = step + Tile::at(i);
        float value[LANES];
        load8(value, at);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++) {
            float y = fmaf(side.by[lane], value[lane], side.plus[lane]);
            value[lane] = ACTIVATION == ACTIVATION_HARD_SWISH
                              ? y * __saturatef(fmaf(y, 1.0f / 6.0f, 0.5f))
                              : activate(ACTIVATION, y);
        }
        if (a.gate != NULL) {
            sum_gate<Tile>(a, side, first + Tile::row(i), in);
#pragma unroll
            for (int lane = 0; lane < LANES; lane++)
                value[lane] *= side.by_z[lane];
        }
        sum_leave(at, value, side.kept);
    }
}

template <class Tile>
static __device__ __forceinline__ void sum_make_a(const view_rows<bf16> &a, struct sum_side &side,
                                                  bf16 *step, int first, int rows, int in) {
    if (!side.makes) {
        sum_mask<Tile>(step, side.kept, rows);
        return;
    }
#define AS(kind)                                                                                   \
    case kind:                                                                                     \
        sum_make_as<Tile, kind>(a, side, step, first, rows, in);                                   \
        break
    switch (a.activation) {
        AS(ACTIVATION_NONE);
        AS(ACTIVATION_RELU);
        AS(ACTIVATION_RELU6);
        AS(ACTIVATION_HARD_SWISH);
        AS(ACTIVATION_HARD_SIGMOID);
    }
#undef AS
}

#endif
