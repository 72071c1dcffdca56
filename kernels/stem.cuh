/* The stem on tensor cores: 3x3 taps of stride 2 on pictures of three channels, bf16.
 *
 * A row of the picture under an output pixel is nine neighbouring elements. Taken from one element
 * before, they are five aligned pairs; three rows are fifteen pairs, and with an empty one that is
 * exactly what two products of depth 16 take. Rows of the picture stand in shared memory, behind
 * eight zeros, so that the pairs of pixel x begin at element 6 x + 4, and that what a thread copies
 * is aligned on both sides.
 */
#ifndef TAPER_STEM_CUH
#define TAPER_STEM_CUH

#include "dense.cuh"
#include "mma.cuh"

constexpr int STEM_THREADS = 224, STEM_WARPS = STEM_THREADS / WARP, STEM_TILE = 16 /* pixels */,
              STEM_CHUNK = 16 /* outputs of a block */, STEM_PAIRS = 16, STEM_PAIRS_OF_A_ROW = 5,
              STEM_FIRST = 4 /* element of pixel 0 */;

/* How an image is cut: `rows` rows of the output at a time, one for each warp. Of the picture's
 * rows under them there are two copies: one is filled while the other is read. */
struct stem_cut {
    int rows, down /* cuts of an image */, tiles;
    int pitch; /* elements of a picture's row in shared memory */
};

static inline struct stem_cut stem_cut_of(const struct convolution *convolution) {
    enum { ROOM = 40 << 10 };
    struct stem_cut cut = {};
    cut.tiles = pieces(convolution->output.width, STEM_TILE);
    cut.pitch = cut.tiles * STEM_TILE * STEM_STRIDE * STEM_INPUTS + LANES;
    cut.rows = (ROOM / (2 * cut.pitch * (int)sizeof(bf16)) - 1) / STEM_STRIDE;
    cut.rows = cut.rows > STEM_WARPS ? (int)STEM_WARPS : cut.rows;
    if (cut.rows > 0)
        cut.down = pieces(convolution->output.height, cut.rows);
    return cut; /* rows < 1: the pictures are too wide */
}

static inline __host__ __device__ int stem_elements(const struct stem_cut &cut) { /* of a copy */
    return (STEM_STRIDE * cut.rows + 1) * cut.pitch;
}
static inline size_t stem_shared(const struct stem_cut &cut) {
    return 2 * (size_t)stem_elements(cut) * sizeof(bf16);
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

/* The pairs under the warp's row of the output, from those of pixel 0 on. */
static __device__ __forceinline__ const unsigned *stem_pairs(const bf16 *rows, int y,
                                                             const struct stem_cut &cut) {
    return reinterpret_cast<const unsigned *>(rows + STEM_STRIDE * y * cut.pitch + STEM_FIRST);
}

static __device__ __forceinline__ void copy_elements(bf16 *to, const bf16 *from, int exist) {
#pragma unroll
    for (int n = 0; n < LANES; n++)
        to[n] = n < exist ? from[n] : from_float<bf16>(0.0f);
}

/* The picture's rows under output rows [top, top + cut.rows), zero outside of it: under way until
 * the thread has waited for its copies. */
static __device__ __forceinline__ void stage_rows(bf16 *rows, const bf16 *picture, int top,
                                                  const struct stem_cut &cut, int height,
                                                  int width) {
    int vectors = cut.pitch / LANES, length = width * STEM_INPUTS;
    int down = STEM_THREADS / vectors, right = STEM_THREADS - down * vectors;
    int row = (int)threadIdx.x / vectors, vector = (int)threadIdx.x - row * vectors;
    bool aligned = length % LANES == 0 && (size_t)picture % sizeof(uint4) == 0;
    while (row <= STEM_STRIDE * cut.rows) {
        int y = STEM_STRIDE * top - 1 + row, x = (vector - 1) * LANES;
        int exist = y >= 0 && y < height && x >= 0 ? length - x : 0;
        bf16 *to = rows + row * cut.pitch + vector * LANES;
        const bf16 *from = picture + (exist > 0 ? y * length + x : 0);
        if (aligned)
            copy_async_or_zero(to, from, exist > 0);
        else
            copy_elements(to, from, exist);
        row += down, vector += right;
        if (vector >= vectors)
            vector -= vectors, row++;
    }
    copy_async_commit();
}

/* Where a cut of a segment's images begins. */
struct stem_place {
    int image, top;
};
static __device__ __forceinline__ struct stem_place stem_place_of(int unit,
                                                                  const struct stem_cut &cut) {
    int image = unit / cut.down;
    return {image, (unit - image * cut.down) * cut.rows};
}

/* The block's share of a segment's cuts, and the copies of the picture's rows. */
struct stem_rows {
    const bf16 *pictures;
    bf16 *shared;
    int height, width, unit, end;

    __device__ __forceinline__ void stage(int which, const struct stem_cut &cut) const {
        if (which >= end)
            return;
        struct stem_place place = stem_place_of(which, cut);
        stage_rows(copy(which, cut), pictures + (size_t)place.image * height * width * STEM_INPUTS,
                   place.top, cut, height, width);
    }
    __device__ __forceinline__ bf16 *copy(int which, const struct stem_cut &cut) const {
        return shared + which % 2 * stem_elements(cut);
    }
    /* The rows of the current unit, when they are there; those of the next are on their way. */
    __device__ __forceinline__ const bf16 *get(const struct stem_cut &cut) const {
        stage(unit + 1, cut);
        if (unit + 1 < end)
            copy_async_wait<1>();
        else
            copy_async_wait<0>();
        __syncthreads();
        return copy(unit, cut);
    }
};

static __device__ __forceinline__ struct stem_rows stem_rows_of(const struct tensor &input,
                                                                const struct segment &segment,
                                                                bf16 *shared, int parts,
                                                                const struct stem_cut &cut) {
    int all = segment.images * cut.down, part = (int)blockIdx.y;
    return {segment_data<bf16>(input, segment),
            shared,
            input.height,
            input.width,
            piece_begin(all, part, parts),
            piece_begin(all, part + 1, parts)};
}

#endif
