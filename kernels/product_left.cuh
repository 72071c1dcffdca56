/* The left side of the product on tensor cores: its raw rows are copied to shared memory, and made
 * into what is multiplied in their place, once for all warps of a block. A thread makes what it
 * copied.
 */
#ifndef TAPER_PRODUCT_LEFT_CUH
#define TAPER_PRODUCT_LEFT_CUH

#include "mma.cuh"
#include "product.cuh"

/* How a block of THREADS shares out a step of STEP k: a thread copies the same chunk, of 16 bytes,
 * of every `pass`th row, so that all its addresses follow from one by constants. */
template <int STEP, int THREADS> struct tensor_share {
    static constexpr int step = STEP, chunks = STEP / LANES, pass = THREADS / chunks;

    static __device__ __forceinline__ int row() {
        return threadIdx.x / chunks;
    }
    static __device__ __forceinline__ int chunk() {
        return threadIdx.x % chunks;
    }
    static __device__ __forceinline__ int lane() { /* of k */
        return chunk() * LANES;
    }
    /* Where a chunk of a row lies: the eight rows of a matrix must fall on different banks. The
     * permutation repeats every eight rows. */
    static __device__ __forceinline__ int at(int row, int chunk) {
        return row * STEP + (chunk ^ (row * chunks / 8 & (chunks - 1))) * LANES;
    }
    static __device__ __forceinline__ int own() {
        return at(row(), chunk());
    }
    /* Whether a product of 16 k reaches the thread's chunk; kept: from its first channel on. */
    static __device__ __forceinline__ bool reached(int kept) {
        return kept > (chunk() % 2 == 0 ? 0 : -LANES);
    }
    /* Bytes of the thread's chunk that are kept. */
    static __device__ __forceinline__ int bytes(int kept) {
        return kept <= 0 ? 0 : kept < LANES ? kept * 2 : LANES * 2;
    }
    template <int ROWS> static __device__ __forceinline__ bool in_pass(int first) {
        return first + pass <= ROWS || row() + first < ROWS;
    }
};

/* One raw stream of the left side. Channels past the kept ones and rows past the end are zero. */
template <class Share> struct tensor_stream {
    const bf16 *at; /* the thread's first row */
    int ld;
    bool vectors;

    __device__ __forceinline__ tensor_stream(const bf16 *rows, int ld, bool vectors, int first)
        : at(rows + (size_t)(first + Share::row()) * ld + Share::lane()), ld(ld), vectors(vectors) {
    }
    /* rows and kept: how many there are from the thread's first on. */
    template <int ROWS> __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        const bf16 *from = at;
        ptrdiff_t apart = (ptrdiff_t)Share::pass * ld;
        to += Share::own();
        if (!vectors) {
#pragma unroll 1
            for (int pass = 0; pass < ROWS; pass += Share::pass, from += apart)
#pragma unroll 1
                for (int i = 0; i < LANES && Share::template in_pass<ROWS>(pass); i++)
                    to[pass * Share::step + i] =
                        pass < rows && i < kept ? from[i] : from_float<bf16>(0.0f);
            return;
        }
        int bytes = Share::bytes(kept);
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += Share::pass, from += apart)
            if (Share::template in_pass<ROWS>(pass))
                copy_async_some(to + pass * Share::step, from, pass < rows ? bytes : 0);
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
template <int ROWS, class Share, class Left> struct tensor_left;

template <int ROWS, class Share> struct tensor_left<ROWS, Share, view_rows<bf16>> {
    static constexpr int PASS = Share::pass, PASSES = (ROWS + PASS - 1) / PASS;
    static constexpr bool FETCHES = PASSES <= 2; /* registers allow it */
    struct tensor_stream<Share> z;
    int gate_row[PASSES]; /* where the gates of the rows' images begin */
    uint4 gate[PASSES];

    __device__ __forceinline__ tensor_left(const view_rows<bf16> &left, int first)
        : z(left.z, left.ld, left.vectors, first) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        z.at += (ptrdiff_t)rows * z.ld + k;
    }
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        z.template copy<ROWS>(to, rows, kept);
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
        return left.scale == NULL && left.activation == ACTIVATION_NONE && left.gate == NULL;
    }
    /* Before the first step of a tile is fetched. */
    __device__ __forceinline__ void begin_tile(const view_rows<bf16> &left, int first, int end) {
        if (left.gate == NULL)
            return;
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = first + Share::row() + i * PASS;
            gate_row[i] = (row < end ? row : end - 1) / left.area * left.gate_ld + Share::lane();
        }
    }
    __device__ __forceinline__ const uint4 *gate_at(const view_rows<bf16> &left, int pass,
                                                    int k) const {
        return reinterpret_cast<const uint4 *>(left.gate + gate_row[pass] + k);
    }
    /* Some time before a step is made. */
    __device__ __forceinline__ void fetch(const view_rows<bf16> &left, int k) {
        if constexpr (FETCHES) {
            if (left.gate == NULL || !Share::reached(left.kept - k - Share::lane()))
                return;
#pragma unroll
            for (int i = 0; i < PASSES; i++)
                gate[i] = *gate_at(left, i, k);
        }
    }
    /* coefficients: rows `pitch` apart. */
    __device__ __forceinline__ void make(const view_rows<bf16> &left, bf16 *step, int k,
                                         const float *coefficients, int pitch) const {
        int kept = left.kept - k - Share::lane();
        if (!Share::reached(kept))
            return;
        step += Share::own(), coefficients += k + Share::lane();
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += Share::pass) {
            if (!Share::template in_pass<ROWS>(pass))
                return;
            float a[LANES];
            load8(a, step + pass * Share::step);
            if (left.scale != NULL)
                times_plus8(a, coefficients, coefficients + pitch);
            if (left.activation == ACTIVATION_HARD_SWISH) /* first what is likeliest */
#pragma unroll
                for (int i = 0; i < LANES; i++)
                    a[i] = activate(ACTIVATION_HARD_SWISH, a[i]);
            else if (left.activation == ACTIVATION_RELU)
#pragma unroll
                for (int i = 0; i < LANES; i++)
                    a[i] = activate(ACTIVATION_RELU, a[i]);
            else
                activate_all(left.activation, a);
            if (left.gate != NULL) {
                uint4 raw = FETCHES ? gate[pass / PASS] : *gate_at(left, pass / PASS, k);
                float by[LANES];
                load8(by, reinterpret_cast<const bf16 *>(&raw));
#pragma unroll
                for (int i = 0; i < LANES; i++)
                    a[i] *= by[i];
            }
            store_made(step + pass * Share::step, a, kept);
        }
    }
};

template <int ROWS, class Share> struct tensor_left<ROWS, Share, gradient_rows<bf16>> {
    struct tensor_stream<Share> dy, z;
    bool both;

    __device__ __forceinline__ tensor_left(const gradient_rows<bf16> &left, int first)
        : dy(left.dy, left.ld, left.vectors, first), z(left.z, left.ld_z, left.vectors_z, first),
          both(left.grad_y != NULL) {
    }
    __device__ __forceinline__ void next(int rows, int k) {
        dy.at += (ptrdiff_t)rows * dy.ld + k, z.at += (ptrdiff_t)rows * z.ld + k;
    }
    __device__ __forceinline__ void copy(bf16 *to, int rows, int kept) const {
        dy.template copy<ROWS>(to, rows, kept);
        if (both)
            z.template copy<ROWS>(to + ROWS * Share::step, rows, kept);
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
        return left.grad_y == NULL;
    }
    __device__ __forceinline__ void begin_tile(const gradient_rows<bf16> &, int, int) {
    }
    __device__ __forceinline__ void fetch(const gradient_rows<bf16> &, int) {
    }
    __device__ __forceinline__ void make(const gradient_rows<bf16> &left, bf16 *step, int k,
                                         const float *coefficients, int pitch) const {
        int kept = left.kept - k - Share::lane();
        if (!Share::reached(kept))
            return;
        step += Share::own(), coefficients += k + Share::lane();
#pragma unroll
        for (int pass = 0; pass < ROWS; pass += Share::pass) {
            if (!Share::template in_pass<ROWS>(pass))
                return;
            float dz[LANES], at[LANES];
            load8(dz, step + pass * Share::step);
            load8(at, step + (ROWS + pass) * Share::step);
            times_plus8(at, coefficients + pitch, coefficients + 2 * pitch);
            times_plus_values8(dz, coefficients, at);
            store_made(step + pass * Share::step, dz, kept);
        }
    }
};

#endif
