/* The left side of the product on tensor cores: its raw rows are copied to shared memory, and made
 * into what is multiplied in their place, once for all warps of a block. A thread makes what it
 * copied.
 */
#ifndef TAPER_PRODUCT_LEFT_CUH
#define TAPER_PRODUCT_LEFT_CUH

#include "mma.cuh"
#include "product.cuh"

constexpr int TENSOR_STEP = 32;                    /* of k */
constexpr int TENSOR_CHUNKS = TENSOR_STEP / LANES; /* of 16 bytes, in a row of a step */

/* Where a chunk of a row lies: rows are 64 bytes, and the eight rows of a matrix must fall on
 * different banks. The permutation repeats every eight rows. */
static __device__ __forceinline__ int tensor_at(int row, int chunk) {
    return row * TENSOR_STEP + (chunk ^ (row >> 1 & 3)) * LANES;
}

/* A thread copies the same chunk of every PASSth row, a multiple of eight, so that all its
 * addresses follow from one by constants. */
static __device__ __forceinline__ int tensor_row() {
    return threadIdx.x / TENSOR_CHUNKS;
}
static __device__ __forceinline__ int tensor_lane() { /* in the step */
    return threadIdx.x % TENSOR_CHUNKS * LANES;
}
static __device__ __forceinline__ int tensor_own() {
    return tensor_at(tensor_row(), threadIdx.x % TENSOR_CHUNKS);
}
/* Whether a product of 16 k reaches the thread's chunk; kept: from its first channel on. */
static __device__ __forceinline__ bool tensor_reached(int kept) {
    return kept > (tensor_lane() % 16 == 0 ? 0 : -LANES);
}
/* Rows of a pass that the thread has. */
template <int ROWS, int PASS> static __device__ __forceinline__ bool tensor_in_pass(int pass) {
    return pass + PASS <= ROWS || tensor_row() + pass < ROWS;
}

/* One raw stream of the left side. Rows past the end are left as they are: no other row depends on
 * them. Of a chunk that holds kept channels and others, the others are masked when it is made. */
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
    template <int ROWS, int PASS>
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        if (!tensor_reached(kept))
            return;
        to += tensor_own();
        const bf16 *from = at;
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += PASS, from += (ptrdiff_t)PASS * ld) {
            if (pass >= rows || !tensor_in_pass<ROWS, PASS>(pass))
                return;
            if (vectors)
                copy_async_or_zero(to + pass * TENSOR_STEP, from, kept > 0);
            else
#pragma unroll 1
                for (int i = 0; i < LANES; i++)
                    to[pass * TENSOR_STEP + i] = i < kept ? from[i] : from_float<bf16>(0.0f);
        }
    }
};

/* All coefficients of a row, of all k: there when the first step is. */
static __device__ __forceinline__ void tensor_copy_row(float *to, const float *from, int kept) {
    for (int k = threadIdx.x * 4; k < kept; k += blockDim.x * 4)
        copy_async(to + k, from + k);
}

/* Stores made elements; channels past the kept ones become zero. */
static __device__ __forceinline__ void store_made(bf16 *to, float (&made)[LANES], int kept) {
    if (kept < LANES)
#pragma unroll
        for (int i = 0; i < LANES; i++)
            made[i] = i < kept ? made[i] : 0.0f;
    store8(to, made);
}

/* Streams of either kind of rows, one after the other in a step, and how the first becomes what is
 * multiplied. */
template <int ROWS, int PASS, class Left> struct tensor_left;

template <int ROWS, int PASS> struct tensor_left<ROWS, PASS, view_rows<bf16>> {
    static constexpr int PASSES = (ROWS + PASS - 1) / PASS;
    static constexpr bool FETCHES = PASSES <= 2; /* registers allow it */
    struct tensor_stream z;
    int gate_row[PASSES]; /* where the gates of the rows' images begin */
    uint4 gate[PASSES];

    __device__ __forceinline__ tensor_left(const view_rows<bf16> &left, int first)
        : z(left.z, left.ld, left.vectors, first) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        z.next(rows, k);
    }
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        z.copy<ROWS, PASS>(to, rows, kept);
    }
    static __device__ __forceinline__ void copy_coefficients(const view_rows<bf16> &left, float *to,
                                                             int pitch) {
        if (left.scale == NULL)
            return;
        tensor_copy_row(to, left.scale, left.kept);
        tensor_copy_row(to + pitch, left.shift, left.kept);
    }
    /* What is copied is what is multiplied. */
    static __device__ __forceinline__ bool direct(const view_rows<bf16> &left) {
        return left.scale == NULL && left.activation == ACTIVATION_NONE && left.gate == NULL &&
               left.kept % LANES == 0 && left.vectors;
    }
    /* Before the first step of a tile is fetched. */
    __device__ __forceinline__ void begin_tile(const view_rows<bf16> &left, int first, int end) {
        if (left.gate == NULL)
            return;
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = first + tensor_row() + i * PASS;
            gate_row[i] = (row < end ? row : end - 1) / left.area * left.gate_ld + tensor_lane();
        }
    }
    __device__ __forceinline__ const uint4 *gate_at(const view_rows<bf16> &left, int pass,
                                                    int k) const {
        return reinterpret_cast<const uint4 *>(left.gate + gate_row[pass] + k);
    }
    /* Some time before a step is made. */
    __device__ __forceinline__ void fetch(const view_rows<bf16> &left, int k) {
        if constexpr (FETCHES) {
            if (left.gate == NULL || !tensor_reached(left.kept - k - tensor_lane()))
                return;
#pragma unroll
            for (int i = 0; i < PASSES; i++)
                gate[i] = *gate_at(left, i, k);
        }
    }
    /* coefficients: rows `pitch` apart. rows: from the thread's first on. */
    __device__ __forceinline__ void make(const view_rows<bf16> &left, bf16 *step, int k,
                                         const float *coefficients, int pitch, int rows) const {
        int kept = left.kept - k - tensor_lane();
        if (!tensor_reached(kept))
            return;
        step += tensor_own(), coefficients += k + tensor_lane();
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += PASS) {
            if (pass >= rows || !tensor_in_pass<ROWS, PASS>(pass))
                return;
            float a[LANES];
            load8(a, step + pass * TENSOR_STEP);
            if (left.scale != NULL)
                times_plus8(a, coefficients, coefficients + pitch);
            if (left.activation == ACTIVATION_HARD_SWISH)
#pragma unroll
                for (int i = 0; i < LANES; i++)
                    a[i] *= __saturatef(fmaf(a[i], 1.0f / 6.0f, 0.5f));
            else
                activate8(left.activation, a);
            if (left.gate != NULL) {
                uint4 raw = FETCHES ? gate[pass / PASS] : *gate_at(left, pass / PASS, k);
                float by[LANES];
                load8(by, reinterpret_cast<const bf16 *>(&raw));
#pragma unroll
                for (int i = 0; i < LANES; i++)
                    a[i] *= by[i];
            }
            store_made(step + pass * TENSOR_STEP, a, kept);
        }
    }
};

template <int ROWS, int PASS> struct tensor_left<ROWS, PASS, gradient_rows<bf16>> {
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
        dy.copy<ROWS, PASS>(to, rows, kept);
        if (both)
            z.copy<ROWS, PASS>(to + ROWS * TENSOR_STEP, rows, kept);
    }
    static __device__ __forceinline__ void copy_coefficients(const gradient_rows<bf16> &left,
                                                             float *to, int pitch) {
        if (left.grad_y == NULL)
            return;
        tensor_copy_row(to, left.grad_y, left.kept);
        tensor_copy_row(to + pitch, left.grad_z, left.kept);
        tensor_copy_row(to + 2 * pitch, left.grad_one, left.kept);
    }
    static __device__ __forceinline__ bool direct(const gradient_rows<bf16> &left) {
        return left.grad_y == NULL && left.kept % LANES == 0 && left.vectors;
    }
    __device__ __forceinline__ void begin_tile(const gradient_rows<bf16> &, int, int) {
    }
    __device__ __forceinline__ void fetch(const gradient_rows<bf16> &, int) {
    }
    __device__ __forceinline__ void make(const gradient_rows<bf16> &left, bf16 *step, int k,
                                         const float *coefficients, int pitch, int rows) const {
        int kept = left.kept - k - tensor_lane();
        if (!tensor_reached(kept))
            return;
        step += tensor_own(), coefficients += k + tensor_lane();
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += PASS) {
            if (pass >= rows || !tensor_in_pass<ROWS, PASS>(pass))
                return;
            float dz[LANES], at[LANES];
            load8(dz, step + pass * TENSOR_STEP);
            if (both) {
                load8(at, step + (ROWS + pass) * TENSOR_STEP);
                times_plus8(at, coefficients + pitch, coefficients + 2 * pitch);
                times_plus_values8(dz, coefficients, at);
            }
            store_made(step + pass * TENSOR_STEP, dz, kept);
        }
    }
};

#endif
