/* The product in float, without tensor cores: for the parity of backends, not for speed. */
#ifndef TAPER_PRODUCT_PLAIN_CUH
#define TAPER_PRODUCT_PLAIN_CUH

#include "product.cuh"

constexpr int PLAIN_TILE = 64;     /* rows and columns of a block */
constexpr int PLAIN_STEP = 16;     /* of k */
constexpr int PLAIN_THREADS = 256; /* 16 by 16 */
constexpr int PLAIN_EACH = 4;      /* rows and columns of a thread */
constexpr int PLAIN_PITCH = PLAIN_TILE + 4;

typedef float plain_sums[PLAIN_EACH][PLAIN_EACH];

/* sums += left^T right, both [PLAIN_STEP][PLAIN_PITCH]. */
static __device__ __forceinline__ void plain_multiply(plain_sums &sums, const float *left,
                                                      const float *right) {
    int y = threadIdx.x / 16 * PLAIN_EACH, x = threadIdx.x % 16 * PLAIN_EACH;
#pragma unroll
    for (int k = 0; k < PLAIN_STEP; k++) {
        float4 l = *reinterpret_cast<const float4 *>(left + k * PLAIN_PITCH + y);
        float4 r = *reinterpret_cast<const float4 *>(right + k * PLAIN_PITCH + x);
        float a[PLAIN_EACH] = {l.x, l.y, l.z, l.w}, b[PLAIN_EACH] = {r.x, r.y, r.z, r.w};
#pragma unroll
        for (int i = 0; i < PLAIN_EACH; i++)
#pragma unroll
            for (int j = 0; j < PLAIN_EACH; j++)
                sums[i][j] += a[i] * b[j];
    }
}

/* A tile of rows, [k][row] in shared memory; weights likewise. A thread loads LANES of k. */
template <class T, class Left>
static __device__ __forceinline__ void plain_fill(float *left, float *right, const Left &rows,
                                                  int first_row, int end_row, const T *weights,
                                                  int ld, int first_column, int columns, int k) {
    int half = threadIdx.x / 128, at = threadIdx.x % 128;
    int index = at / 2, lanes = at % 2 * LANES;
    float value[LANES] = {};
    if (half == 0 && first_row + index < end_row && k + lanes < rows.kept)
        rows.load(value, first_row + index, k + lanes);
    if (half == 1 && first_column + index < columns && k + lanes < rows.kept)
        load_lanes(value, weights + (size_t)(first_column + index) * ld + k + lanes,
                   rows.kept - k - lanes, true);
    float *to = half == 0 ? left : right;
#pragma unroll
    for (int i = 0; i < LANES; i++)
        to[(lanes + i) * PLAIN_PITCH + index] = value[i];
}

template <class T, class Source, class Target>
__global__ void __launch_bounds__(PLAIN_THREADS)
    plain_product_kernel(const struct segment *segments, Source source, const T *weights, int ld,
                         Target target) {
    const struct segment segment = segments[blockIdx.z];
    typename left_of<T, Source>::rows left(source, segment);
    typename result_of<T, Target>::rows result(target, segment);
    const struct partial_sums &sums = sums_of(target);
    bool absent = result.kept == 0 || left.absent();
    struct part_rows rows = rows_of_part(source.z, segment, blockIdx.y, gridDim.y, PLAIN_TILE);
    if (sums.parts > 0 && blockIdx.x == 0 && threadIdx.x == 0)
        *sums.count_at(segment, blockIdx.y) = absent ? 0.0f : (float)(rows.end - rows.begin);
    int first_column = blockIdx.x * PLAIN_TILE;
    if (absent || first_column >= result.kept || rows.begin >= rows.end)
        return;

    constexpr int ROW_LANES = PLAIN_THREADS * LANES / PLAIN_TILE;
    __shared__ __align__(16) float fill[2][PLAIN_STEP * PLAIN_PITCH];
    __shared__ __align__(16) float room[merge_floats(ROW_LANES, PLAIN_TILE)];
    int octet = threadIdx.x % (PLAIN_TILE / LANES) * LANES;
    int row_lane = threadIdx.x / (PLAIN_TILE / LANES);
    result.begin(first_column + octet);
    for (int first = rows.begin; first < rows.end; first += PLAIN_TILE) {
        plain_sums product = {};
        for (int k = 0; k < left.kept; k += PLAIN_STEP) {
            plain_fill(fill[0], fill[1], left, first, rows.end, weights, ld, first_column,
                       result.kept, k);
            __syncthreads();
            plain_multiply(product, fill[0], fill[1]);
            __syncthreads();
        }
        /* Through shared memory, so that a thread gets neighbouring channels, half the rows at a
         * time. */
        int y = threadIdx.x / 16, x = threadIdx.x % 16 * PLAIN_EACH;
        for (int half = 0; half < 2; half++) {
            if (y / 8 == half)
                for (int i = 0; i < PLAIN_EACH; i++)
                    for (int j = 0; j < PLAIN_EACH; j++)
                        room[(y % 8 * PLAIN_EACH + i) * PLAIN_PITCH + x + j] = product[i][j];
            __syncthreads();
            int row = first + half * PLAIN_TILE / 2 + row_lane;
            if (row < rows.end && first_column + octet < result.kept) {
                float value[LANES];
                load8(value, room + row_lane * PLAIN_PITCH + octet);
                result.row(row, first_column + octet, value);
            }
            __syncthreads();
        }
    }
    if (sums.parts > 0)
        merge_sums(result, room, ROW_LANES, row_lane, PLAIN_TILE, octet, sums, segment, blockIdx.y,
                   first_column);
}

#endif
