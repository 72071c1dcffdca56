/* The weights of all layers, laid out as their kernels read them: rows padded with zeros, as bf16
 * where products take that. One launch has the layouts of many layers, since each alone is smaller
 * than the launch.
 *
 * A block has a tile of one layout. It reads along whichever direction lies together in the
 * weights, and writes along the layout's rows. */
#include "cuda_ops.h"

constexpr int TILE = 32, THREADS = 256, TURNS = TILE * TILE / THREADS;
constexpr int MOST_LAYOUTS = 48; /* that a launch's parameters have room for */

struct weight_tiles {
    struct weight_layout layout;
    int first; /* block */
};
struct weight_tile_list {
    struct weight_tiles of[MOST_LAYOUTS];
    int count;
};
static_assert(sizeof(struct weight_tile_list) <= 4096, "parameters of a kernel");

static __host__ __device__ int tiles_across(const struct weight_layout &layout) {
    return (layout.ld + TILE - 1) / TILE;
}

static __device__ __forceinline__ float weight_at(const struct weight_layout &layout, int row,
                                                  int column) {
    if (row >= layout.rows || column >= layout.columns)
        return 0.0f;
    size_t at = (size_t)(row / layout.inner) * layout.outer_step;
    at += (size_t)(row % layout.inner) * layout.inner_step + (size_t)column * layout.column_step;
    return layout.from[at];
}

static __global__ void __launch_bounds__(THREADS)
    prepare_kernel(const struct weight_tile_list list) {
    __shared__ float tile[TILE][TILE + 1];
    int which = 0;
    while (which + 1 < list.count && list.of[which + 1].first <= (int)blockIdx.x)
        which++;
    const struct weight_layout &layout = list.of[which].layout;
    int index = (int)blockIdx.x - list.of[which].first, across = tiles_across(layout);
    int top = index / across * TILE, left = index % across * TILE;
    bool along_row = layout.column_step == 1;
#pragma unroll
    for (int turn = 0; turn < TURNS; turn++) {
        int slow = ((int)threadIdx.x + turn * THREADS) / TILE, fast = (int)threadIdx.x % TILE;
        int row = along_row ? slow : fast, column = along_row ? fast : slow;
        tile[row][column] = weight_at(layout, top + row, left + column);
    }
    __syncthreads();
#pragma unroll
    for (int turn = 0; turn < TURNS; turn++) {
        int row = ((int)threadIdx.x + turn * THREADS) / TILE, column = (int)threadIdx.x % TILE;
        size_t at = (size_t)(top + row) * layout.ld + left + column;
        if (top + row >= layout.rows || left + column >= layout.ld)
            continue;
        if (layout.narrow)
            reinterpret_cast<bf16 *>(layout.to)[at] = from_float<bf16>(tile[row][column]);
        else
            reinterpret_cast<float *>(layout.to)[at] = tile[row][column];
    }
}

static enum status prepare_list(struct weight_tile_list &list, int blocks) {
    if (blocks > 0)
        LAUNCH(prepare_kernel, blocks, THREADS, 0, cuda_stream(), list);
    list.count = 0;
    return cuda_launched("prepare_kernel");
}

template <class T>
static int layouts_of(const struct convolution *convolution, struct weight_layout *layouts) {
    switch (convolution->kind) {
    case CONVOLUTION_DENSE:
        return cuda_dense_layouts<T>(convolution, layouts);
    case CONVOLUTION_POINTWISE:
        return cuda_pointwise_layouts<T>(convolution, layouts);
    default:
        return cuda_depthwise_layouts<T>(convolution, layouts);
    }
}

template <class T>
enum status cuda_prepare(const struct convolution *const *convolutions, int count) {
    struct weight_tile_list list = {};
    int blocks = 0;
    for (int i = 0; i < count; i++) {
        struct weight_layout layouts[MOST_LAYOUTS_OF_A_LAYER];
        if (list.count + MOST_LAYOUTS_OF_A_LAYER > MOST_LAYOUTS) {
            TRY(prepare_list(list, blocks));
            blocks = 0;
        }
        int some = layouts_of<T>(convolutions[i], layouts);
        for (int l = 0; l < some; l++) {
            list.of[list.count].layout = layouts[l], list.of[list.count++].first = blocks;
            blocks += tiles_across(layouts[l]) * pieces(layouts[l].rows, TILE);
        }
    }
    return prepare_list(list, blocks);
}

template enum status cuda_prepare<float>(const struct convolution *const *, int);
template enum status cuda_prepare<bf16>(const struct convolution *const *, int);
