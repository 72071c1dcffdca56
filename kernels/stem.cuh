/* The stem on tensor cores: 3x3 taps of stride 2 on pictures of three channels, bf16.
 *
 * A row of the picture under an output pixel is nine neighbouring elements. Taken from one element
 * before, they are five aligned pairs; three rows are fifteen pairs, and with an empty one that is
 * exactly what two products of depth 16 take. Rows of the picture stand in shared memory, behind
 * four zeros, so that pixel x begins at element 6 x.
 */
#ifndef TAPER_STEM_CUH
#define TAPER_STEM_CUH

#include "dense.cuh"
#include "mma.cuh"

constexpr int STEM_THREADS = 128, STEM_WARPS = STEM_THREADS / WARP, STEM_TILE = 16 /* pixels */,
              STEM_CHUNK = 16 /* outputs of a block */, STEM_PAIRS = 16, STEM_PAIRS_OF_A_ROW = 5,
              STEM_FRONT = 4;

/* How an image is cut: `rows` rows of the output at a time. */
struct stem_cut {
    int rows, tiles, pitch /* elements of a picture's row in shared memory */;
};

static inline struct stem_cut stem_cut_of(const struct convolution *convolution) {
    enum { ROOM = 24 << 10, MOST_ROWS = 8 };
    struct stem_cut cut = {};
    cut.tiles = pieces(convolution->output.width, STEM_TILE);
    cut.pitch = cut.tiles * STEM_TILE * STEM_STRIDE * STEM_INPUTS + 8;
    cut.rows = (ROOM / (cut.pitch * (int)sizeof(bf16)) - 1) / STEM_STRIDE;
    cut.rows = cut.rows > MOST_ROWS ? (int)MOST_ROWS : cut.rows;
    return cut; /* rows < 1: the pictures are too wide */
}

static inline size_t stem_shared(const struct stem_cut &cut) {
    return (size_t)(STEM_STRIDE * cut.rows + 1) * cut.pitch * sizeof(bf16);
}

/* Pair `pair` of a pixel, counted from the first pair of its first row. */
static __device__ __forceinline__ int stem_pair_at(int pair, const struct stem_cut &cut) {
    int row = pair < STEM_PAIRS - 1 ? pair / STEM_PAIRS_OF_A_ROW : 0;
    return row * (cut.pitch / 2) + (pair - row * STEM_PAIRS_OF_A_ROW) % STEM_PAIRS_OF_A_ROW;
}

/* Which row of the weights' matrix an element of a pair meets; -1: none. */
static __device__ __forceinline__ int stem_matrix_row(int pair, int half) {
    int ky = pair / STEM_PAIRS_OF_A_ROW, element = pair % STEM_PAIRS_OF_A_ROW * 2 + half - 1;
    return ky < STEM_KERNEL && element >= 0 ? ky * STEM_KERNEL * STEM_INPUTS + element : -1;
}

static __device__ __forceinline__ uint2 four_elements(const bf16 *from, int exist) {
    unsigned element[4];
#pragma unroll
    for (int n = 0; n < 4; n++)
        element[n] = n < exist ? __bfloat16_as_ushort(from[n]) : 0;
    return make_uint2(element[0] | element[1] << 16, element[2] | element[3] << 16);
}

/* The picture's rows under output rows [top, top + cut.rows), zero outside of it. */
static __device__ __forceinline__ void stage_rows(bf16 *shared, const bf16 *picture, int top,
                                                  const struct stem_cut &cut, int height,
                                                  int width) {
    enum { FOUR = 4 };
    int quads = cut.pitch / FOUR, length = width * STEM_INPUTS;
    int rows = STEM_STRIDE * cut.rows + 1, lane = (int)threadIdx.x % WARP;
    bool aligned = length % FOUR == 0 && (size_t)picture % sizeof(uint2) == 0;
#pragma unroll 1
    for (int r = (int)threadIdx.x / WARP; r < rows; r += STEM_WARPS) {
        int row = STEM_STRIDE * top - 1 + r;
        bool exists = row >= 0 && row < height;
        const bf16 *from = picture + (ptrdiff_t)row * length - STEM_FRONT;
        uint2 *to = reinterpret_cast<uint2 *>(shared + (size_t)r * cut.pitch);
#pragma unroll 6
        for (int i = lane; i < quads; i += WARP) {
            int at = i * FOUR - STEM_FRONT;
            uint2 quad = make_uint2(0, 0);
            if (exists && at >= 0 && at < length) {
                if (aligned)
                    quad = *reinterpret_cast<const uint2 *>(from + i * FOUR);
                else
                    quad = four_elements(from + i * FOUR, length - at);
            }
            to[i] = quad;
        }
    }
}

#endif
