/* The left side of the product on tensor cores: how its raw rows are copied to shared memory, and
 * how fragments of them are made into what is multiplied.
 */
#ifndef TAPER_PRODUCT_LEFT_CUH
#define TAPER_PRODUCT_LEFT_CUH

#include "mma.cuh"
#include "product.cuh"

constexpr int TENSOR_THREADS = 128, TENSOR_WARPS = 4;
constexpr int TENSOR_STEP = 32;                             /* of k */
constexpr int TENSOR_CHUNKS = TENSOR_STEP / LANES;          /* of 16 bytes, in a row of a step */
constexpr int TENSOR_PASS = TENSOR_THREADS / TENSOR_CHUNKS; /* rows that all threads copy at once */

/* Where a chunk of a row lies: rows are 64 bytes, and the eight rows of a matrix must fall on
 * different banks. The permutation repeats every eight rows. */
static __device__ __forceinline__ int tensor_at(int row, int chunk) {
    return row * TENSOR_STEP + (chunk ^ (row >> 1 & 3)) * LANES;
}

/* A thread copies the same chunk of every TENSOR_PASSth row, so that all its addresses follow from
 * one by constants. */
static __device__ __forceinline__ int tensor_row() {
    return threadIdx.x / TENSOR_CHUNKS;
}
static __device__ __forceinline__ int tensor_lane() { /* in the step */
    return threadIdx.x % TENSOR_CHUNKS * LANES;
}
static __device__ __forceinline__ int tensor_own() {
    return tensor_at(tensor_row(), threadIdx.x % TENSOR_CHUNKS);
}

/* One raw stream of the left side. Rows past the end are left as they are: no other row depends on
 * them. k past the kept channels is masked in the fragments. */
struct tensor_stream {
    const bf16 *at; /* the thread's first row */
    int ld;
    bool vectors;

    __device__ __forceinline__ tensor_stream(const bf16 *rows, int ld, bool vectors, int first)
        : at(rows + (size_t)(first + tensor_row()) * ld + tensor_lane()), ld(ld), vectors(vectors) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        at += (ptrdiff_t)rows * ld + k;
    }
    /* rows and kept: how many there are from the thread's first on. */
    template <int ROWS> __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        if (kept <= 0)
            return;
        to += tensor_own();
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += TENSOR_PASS) {
            if (pass >= rows)
                return;
            const bf16 *from = at + (ptrdiff_t)pass * ld;
            if (vectors)
                copy_async(to + pass * TENSOR_STEP, from);
            else
                for (int i = 0; i < LANES; i++)
                    to[pass * TENSOR_STEP + i] = i < kept ? from[i] : from_float<bf16>(0.0f);
        }
    }
};

/* All coefficients of a row, of all k: there when the first step is. */
static __device__ __forceinline__ void tensor_copy_row(float *to, const float *from, int kept) {
    for (int k = threadIdx.x * 4; k < kept; k += TENSOR_THREADS * 4)
        copy_async(to + k, from + k);
}

/* The streams of either kind of rows, one after the other in a step. */
template <int ROWS, class Left> struct tensor_left;

template <int ROWS> struct tensor_left<ROWS, view_rows<bf16>> {
    struct tensor_stream z;

    __device__ __forceinline__ tensor_left(const view_rows<bf16> &left, int first)
        : z(left.z, left.ld, left.vectors, first) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        z.next(rows, k);
    }
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        z.copy<ROWS>(to, rows, kept);
    }
    static __device__ __forceinline__ void copy_coefficients(const view_rows<bf16> &left, float *to,
                                                             int pitch) {
        if (left.scale == NULL)
            return;
        tensor_copy_row(to, left.scale, left.kept);
        tensor_copy_row(to + pitch, left.shift, left.kept);
    }
};

template <int ROWS> struct tensor_left<ROWS, gradient_rows<bf16>> {
    struct tensor_stream dy, z;
    bool both;

    __device__ __forceinline__ tensor_left(const gradient_rows<bf16> &left, int first)
        : dy(left.dy, left.ld, left.vectors, first), z(left.z, left.ld_z, left.vectors_z, first),
          both(left.grad_y != NULL) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        dy.next(rows, k), z.next(rows, k);
    }
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        dy.copy<ROWS>(to, rows, kept);
        if (both)
            z.copy<ROWS>(to + ROWS * TENSOR_STEP, rows, kept);
    }
    static __device__ __forceinline__ void copy_coefficients(const gradient_rows<bf16> &left,
                                                             float *to, int pitch) {
        if (left.grad_y == NULL)
            return;
        tensor_copy_row(to, left.grad_y, left.kept);
        tensor_copy_row(to + pitch, left.grad_z, left.kept);
        tensor_copy_row(to + 2 * pitch, left.grad_one, left.kept);
    }
};

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

/* Coefficients of the fragment's four channels. */
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

/* What the fragments' rows ask for: where the gates of their images begin. */
template <int EACH> struct fragment_rows {
    int gate[EACH][2];

    __device__ __forceinline__ fragment_rows(const view_rows<bf16> &left, int row, int end) {
        if (left.gate == NULL)
            return;
#pragma unroll
        for (int i = 0; i < 2 * EACH; i++) {
            int of = row + i * 8 < end ? row + i * 8 : end - 1;
            gate[i / 2][i % 2] = of / left.area * left.gate_ld;
        }
    }
    __device__ __forceinline__ fragment_rows(const gradient_rows<bf16> &, int, int) {
    }
};

template <int EACH>
static __device__ __forceinline__ void activate_fragments(enum activation activation,
                                                          float (&a)[EACH][LANES]) {
    if (activation == ACTIVATION_HARD_SWISH) {
#pragma unroll
        for (int i = 0; i < EACH * LANES; i++) {
            float y = a[i / LANES][i % LANES];
            a[i / LANES][i % LANES] = y * __saturatef(fmaf(y, 1.0f / 6.0f, 0.5f));
        }
        return;
    }
#pragma unroll
    for (int e = 0; e < EACH; e++)
        activate8(activation, a[e]);
}

/* Fragments of 16 k, below each other, from where they lie as in memory. coefficients: of the
 * lane's first k, rows `pitch` apart. */
template <int EACH, int ROWS>
static __device__ __forceinline__ void
make_fragments(const view_rows<bf16> &left, const struct fragment_rows<EACH> &rows,
               left_fragment (&fragment)[EACH], const bf16 *at, const float *coefficients,
               int pitch, int k) {
    left_fragment gate[EACH];
    if (left.gate != NULL)
#pragma unroll
        for (int i = 0; i < 4 * EACH; i++)
            gate[i / 4][i % 4] = *reinterpret_cast<const unsigned *>(
                left.gate + (rows.gate[i / 4][i % 2] + k + i % 4 / 2 * 8));
#pragma unroll
    for (int e = 0; e < EACH; e++)
        load_matrices(fragment[e], at + e * 16 * TENSOR_STEP);
    if (left.scale == NULL && left.activation == ACTIVATION_NONE && left.gate == NULL)
        return;
    float a[EACH][LANES];
#pragma unroll
    for (int e = 0; e < EACH; e++)
        unpack(a[e], fragment[e]);
    if (left.scale != NULL) {
        fragment_row scale(coefficients), shift(coefficients + pitch);
#pragma unroll
        for (int i = 0; i < EACH * LANES; i++)
            a[i / LANES][i % LANES] =
                scale.of(i % LANES) * a[i / LANES][i % LANES] + shift.of(i % LANES);
    }
    activate_fragments(left.activation, a);
    if (left.gate != NULL)
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            float by[LANES];
            unpack(by, gate[e]);
#pragma unroll
            for (int i = 0; i < LANES; i++)
                a[e][i] *= by[i];
        }
#pragma unroll
    for (int e = 0; e < EACH; e++)
        pack(fragment[e], a[e]);
}

template <int EACH, int ROWS>
static __device__ __forceinline__ void
make_fragments(const gradient_rows<bf16> &left, const struct fragment_rows<EACH> &,
               left_fragment (&fragment)[EACH], const bf16 *at, const float *coefficients,
               int pitch, int) {
#pragma unroll
    for (int e = 0; e < EACH; e++)
        load_matrices(fragment[e], at + e * 16 * TENSOR_STEP);
    if (left.grad_y == NULL)
        return;
    fragment_row grad_y(coefficients), grad_z(coefficients + pitch);
    fragment_row grad_one(coefficients + 2 * pitch);
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        left_fragment second;
        load_matrices(second, at + (ROWS + e * 16) * TENSOR_STEP);
        float dz[LANES], z[LANES];
        unpack(dz, fragment[e]), unpack(z, second);
#pragma unroll
        for (int i = 0; i < LANES; i++)
            dz[i] = grad_y.of(i) * dz[i] + (grad_z.of(i) * z[i] + grad_one.of(i));
        pack(fragment[e], dz);
    }
}

#endif
