/* Tensor cores and asynchronous copies: instructions of sm_80 and later, one function each, and
 * what they do in C++ where the sources run on the CPU. */
#ifndef TAPER_MMA_CUH
#define TAPER_MMA_CUH

#include "cuda.cuh"

/* A warp's lanes hold 32-bit registers of two bf16. Of an 8x8 matrix, lane l holds row l / 4,
 * columns 2 (l % 4) and the next. A left operand (16 rows, 16 of k) is four such matrices: upper
 * left, lower left, upper right, lower right; a right operand (16 of k, 8 columns) is two, each
 * stored column by column. Sums (16 rows, 8 columns) are two pairs: rows l / 4 and l / 4 + 8. */
typedef unsigned left_fragment[4];
typedef unsigned right_fragment[2];
typedef float sum_fragment[4];

/* Of floats with 10 bits behind the point (TF32), a lane of a left operand (16 rows, 8 of k) holds
 * row l / 4 and, behind it, that plus 8, each at k = l % 4, then both at k = l % 4 + 4; of a right
 * one (8 of k, 8 columns) column l / 4 at k = l % 4, then at that plus 4. Sums: as above. */
typedef float tf32_left[4];
typedef float tf32_right[2];

#ifndef TAPER_CUDA_ON_CPU

static __device__ __forceinline__ void multiply_add_tf32(sum_fragment &sum, const tf32_left &left,
                                                         const tf32_right &right) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(__float_as_uint(left[0])), "r"(__float_as_uint(left[1])),
          "r"(__float_as_uint(left[2])), "r"(__float_as_uint(left[3])),
          "r"(__float_as_uint(right[0])), "r"(__float_as_uint(right[1])));
}

static __device__ __forceinline__ void multiply_add(sum_fragment &sum, const left_fragment &left,
                                                    const right_fragment &right) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]),
                   "r"(right[1]));
}

/* Four 8x8 matrices: lane l says where row l % 8 of matrix l / 8 begins, in shared memory. */
static __device__ __forceinline__ void load_matrices(unsigned (&into)[4], const bf16 *row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(into[0]), "=r"(into[1]), "=r"(into[2]), "=r"(into[3])
                 : "r"(at)
                 : "memory");
}

/* The same, each transposed. */
static __device__ __forceinline__ void load_transposed(unsigned (&into)[4], const bf16 *row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(into[0]), "=r"(into[1]), "=r"(into[2]), "=r"(into[3])
                 : "r"(at)
                 : "memory");
}

/* 16 bytes from global to shared memory; there after a wait. */
static __device__ __forceinline__ void copy_async(void *shared, const void *global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(global)
                 : "memory");
}
/* The same, or zeros without reading. */
static __device__ __forceinline__ void copy_async_or_zero(void *shared, const void *global,
                                                          bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(global), "r"(there ? 16 : 0)
                 : "memory");
}
/* The first bytes of 16, the others zero. */
static __device__ __forceinline__ void copy_async_some(void *shared, const void *global,
                                                       int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(global), "r"(bytes)
                 : "memory");
}
static __device__ __forceinline__ void copy_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* All but the latest `pending` committed groups of this thread are there. */
template <int pending> static __device__ __forceinline__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

#else

static inline float bf16_half(unsigned two, int half) {
    return __uint_as_float(half ? two & 0xffff0000u : two << 16);
}

/* The registers of all lanes of the warp. */
template <class T> struct warp_registers {
    const T *of[WARP];

    explicit warp_registers(const T *own) {
        for (int lane = 0; lane < WARP; lane++)
            of[lane] = __shfl_sync(0xffffffffu, own, lane);
    }
    const T *operator[](int lane) const {
        return of[lane];
    }
};

static inline void multiply_add(sum_fragment &sum, const left_fragment &left,
                                const right_fragment &right) {
    warp_registers<unsigned> lefts(left), rights(right);
    int lane = threadIdx.x % WARP;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++)
            sum[i] += bf16_half(lefts[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k % 2) *
                      bf16_half(rights[column * 4 + k % 8 / 2][k / 8], k % 2);
    }
    __syncwarp();
}

static inline void multiply_add_tf32(sum_fragment &sum, const tf32_left &left,
                                     const tf32_right &right) {
    warp_registers<float> lefts(left), rights(right);
    int lane = threadIdx.x % WARP;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 8; k++)
            sum[i] +=
                lefts[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2] * rights[column * 4 + k % 4][k / 4];
    }
    __syncwarp();
}

static inline void load_matrices_as(unsigned (&into)[4], const bf16 *row, bool transposed) {
    int lane = threadIdx.x % WARP;
    for (int matrix = 0; matrix < 4; matrix++) {
        into[matrix] = 0;
        for (int half = 0; half < 2; half++) {
            int y = transposed ? lane % 4 * 2 + half : lane / 4;
            int x = transposed ? lane / 4 : lane % 4 * 2 + half;
            const bf16 *from = __shfl_sync(0xffffffffu, row, matrix * 8 + y);
            unsigned short bits;
            memcpy(&bits, from + x, sizeof bits);
            into[matrix] |= (unsigned)bits << 16 * half;
        }
    }
}
static inline void load_matrices(unsigned (&into)[4], const bf16 *row) {
    load_matrices_as(into, row, false);
}
static inline void load_transposed(unsigned (&into)[4], const bf16 *row) {
    load_matrices_as(into, row, true);
}

static inline void copy_async(void *shared, const void *global) {
    on_cpu::copy_late(shared, global, 16);
}
static inline void copy_async_or_zero(void *shared, const void *global, bool there) {
    static const unsigned zeros[4] = {};
    copy_async(shared, there ? global : zeros);
}
static inline void copy_async_some(void *shared, const void *global, int bytes) {
    static const unsigned zeros[4] = {};
    if (bytes > 0)
        on_cpu::copy_late(shared, global, bytes);
    if (bytes < 16)
        on_cpu::copy_late(static_cast<char *>(shared) + bytes, zeros, 16 - bytes);
}
static inline void copy_async_commit() {
    on_cpu::end_group_of_copies();
}
template <int pending> static inline void copy_async_wait() {
    on_cpu::wait_for_copies(pending);
}

#endif

#endif
