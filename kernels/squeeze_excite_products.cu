/* Products of squeeze-excite: rows of images times a matrix's prefix. They are small, so what
 * counts is the time that memory takes to answer: a block has few results, that there be many
 * blocks, and its many warps share the sum out among themselves, that all of it be loaded at once,
 * from memory to the registers that the tensor cores take. */
#include "cuda_ops.h"
#include "float_product.cuh"
#include "squeeze_excite.cuh"

namespace {

constexpr int IMAGES = 16, COLUMNS = 32;              /* of a block */
constexpr int THREADS = IMAGES * COLUMNS;             /* one for each result */
constexpr int WARPS = THREADS / WARP, PIECE = 16;     /* of k, that a warp takes at a time */
constexpr int TILES = COLUMNS / 8, STEPS = PIECE / 8; /* of the tensor cores' products */
constexpr int QUADS = 4;                              /* of the weights, of a lane */

/* into[image][n] = sum over kept k of from[image][k] weight(n, k), and what comes after. */
struct product {
    const struct segment *segments;
    struct image_rows from, into; /* into.at NULL: only the tensor */
    const float *weight;
    int step_n, step_k;         /* of weight: one of them is 1 */
    const int *kept_n, *kept_k; /* [group] */

    /* forward: the tensor gets activation(bias + sum) */
    struct tensor tensor;
    const float *bias;
    enum activation activation;
    /* backward: the tensor, if any, is the hidden one, behind whose ReLU the sum belongs */
    struct image_rows values; /* gets the tensor itself */
};

/* A lane's share of a piece: four neighbours in k of two images, and four quads of the weights,
 * neighbours in what is contiguous: k of columns 8 apart, or columns at four neighbours in k. */
struct fetched {
    struct quad images[2], weights[QUADS];
};

struct operands {
    const float *images, *weights; /* at the lane's first k */
    int length, step;              /* from row to row: 8 images; quads of the weights */
    int images_left, columns_left; /* from the lane's first on */
    bool along_k, aligned;
};

__device__ __forceinline__ struct operands operands_of(const struct product &product,
                                                       const struct segment &segment, int first,
                                                       int n, int kept_n) {
    int group = (int)threadIdx.x % WARP / 4;
    struct operands operands;
    operands.along_k = product.step_k == 1;
    int column = n + (operands.along_k ? group : group * 4);
    operands.images = image_row(product.from, segment, first + group);
    operands.weights = product.weight + (size_t)column * product.step_n;
    operands.length = 8 * product.from.length;
    operands.step = operands.along_k ? 8 * product.step_n : product.step_k;
    operands.images_left = segment.images - first - group;
    operands.columns_left = kept_n - column;
    operands.aligned =
        is_aligned(product.weight, operands.along_k ? product.step_n : product.step_k);
    return operands;
}

/* What lies past the kept ones may be anything: it is not read. */
__device__ __forceinline__ void fetch(struct fetched &fetched, const struct operands &operands,
                                      int k, int left) {
#pragma unroll
    for (int i = 0; i < 2; i++)
        fetched.images[i] = load_quad(operands.images + i * operands.length + k,
                                      operands.images_left > 8 * i ? left : 0, true);
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const float *from = operands.weights + (size_t)i * operands.step;
        if (operands.along_k)
            fetched.weights[i] =
                load_quad(from + k, operands.columns_left > 8 * i ? left : 0, operands.aligned);
        else
            fetched.weights[i] = load_quad(from + (size_t)k * operands.step,
                                           left > i ? operands.columns_left : 0, operands.aligned);
    }
}

/* The products of depth 8 take a lane's neighbours in k two by two: which is which does not matter
 * as long as both sides agree. */
template <class T>
__device__ __forceinline__ void multiply(const struct fetched &fetched, bool along_k,
                                         sum_fragment (&sums)[TILES]) {
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        tf32_left left = {fetched.images[0].of[2 * s], fetched.images[1].of[2 * s],
                          fetched.images[0].of[2 * s + 1], fetched.images[1].of[2 * s + 1]};
        struct halves<4> images = halves_of(left);
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            tf32_right right;
#pragma unroll
            for (int h = 0; h < 2; h++)
                right[h] =
                    along_k ? fetched.weights[t].of[2 * s + h] : fetched.weights[2 * s + h].of[t];
            add_product<T>(sums[t], images, halves_of(right));
        }
    }
}

typedef float shares[WARPS][IMAGES][COLUMNS + 1];

/* The sum for image thread / COLUMNS of the tile and column thread % COLUMNS: the warps' shares in
 * order. */
__device__ __forceinline__ float add_warps(shares &shares, const sum_fragment (&sums)[TILES],
                                           bool along_k) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int column = lane % 4 * 2 + i % 2;
            shares[warp][lane / 4 + i / 2 * 8][along_k ? t * 8 + column : column * TILES + t] =
                sums[t][i];
        }
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++)
        sum += shares[w][threadIdx.x / COLUMNS][threadIdx.x % COLUMNS];
    return sum;
}

template <class T>
__device__ __forceinline__ float product_of(shares &shares, const struct product &product,
                                            const struct segment &segment, int first, int n,
                                            int kept_n, int kept_k) {
    struct operands operands = operands_of(product, segment, first, n, kept_n);
    int of_lane = (int)threadIdx.x % 4 * 4;
    sum_fragment sums[TILES] = {};
#pragma unroll 1
    for (int k = (int)threadIdx.x / WARP * PIECE; k < kept_k; k += WARPS * PIECE) {
        struct fetched fetched;
        fetch(fetched, operands, k + of_lane, kept_k - k - of_lane);
        multiply<T>(fetched, operands.along_k, sums);
    }
    return add_warps(shares, sums, operands.along_k);
}

/* x: columns, y: images, z: segment */
template <class T>
__global__ void __launch_bounds__(THREADS, 2) excite_forward_kernel(const struct product product) {
    __shared__ shares shares;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * COLUMNS, first = (int)blockIdx.y * IMAGES;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (n >= kept_n || first >= segment.images)
        return;
    float sum = product_of<T>(shares, product, segment, first, n, kept_n, kept_k);
    int column = n + (int)threadIdx.x % COLUMNS, image = first + (int)threadIdx.x / COLUMNS;
    if (column >= kept_n || image >= segment.images)
        return;
    float result = activate(product.activation, product.bias[column] + sum);
    tensor_row<T>(product.tensor, segment, image)[column] = from_float<T>(result);
    if (product.into.at != NULL)
        image_row(product.into, segment, image)[column] = result;
}

/* Writes rows to their full length: zeros past the kept columns. */
template <class T>
__global__ void __launch_bounds__(THREADS, 2) excite_backward_kernel(const struct product product) {
    __shared__ shares shares;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * COLUMNS, first = (int)blockIdx.y * IMAGES;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (first >= segment.images)
        return;
    float sum = 0;
    if (n < kept_n)
        sum = product_of<T>(shares, product, segment, first, n, kept_n, kept_k);
    int column = n + (int)threadIdx.x % COLUMNS, image = first + (int)threadIdx.x / COLUMNS;
    if (column >= product.into.length || image >= segment.images)
        return;
    float result = column < kept_n ? sum : 0;
    if (product.tensor.data != NULL) {
        float value = 0;
        if (column < kept_n)
            value = to_float(tensor_row<T>(product.tensor, segment, image)[column]);
        image_row(product.values, segment, image)[column] = value;
        result = value > 0 ? result : 0;
    }
    image_row(product.into, segment, image)[column] = result;
}

template <class T>
void launch_product(const struct product &product, int columns, bool forward,
                    const struct slice *slice) {
    dim3 grid(pieces(columns, COLUMNS), pieces(largest_segment(slice), IMAGES), slice->count);
    if (forward)
        LAUNCH(excite_forward_kernel<T>, grid, THREADS, 0, cuda_stream(), product);
    else
        LAUNCH(excite_backward_kernel<T>, grid, THREADS, 0, cuda_stream(), product);
}

} /* namespace */

template <class T>
enum status cuda_excite_forward(const struct squeeze_excite *squeeze,
                                const struct excite_rows *rows, const struct slice *slice) {
    const struct tensor &pooled = squeeze->pooled, &hidden = squeeze->hidden;
    struct product reduce = {}, expand = {};
    reduce.segments = expand.segments = slice->device_segments;
    reduce.from = rows->pooled, reduce.into = rows->hidden;
    reduce.weight = squeeze->reduce, reduce.bias = squeeze->reduce_bias;
    reduce.step_n = pooled.channels, reduce.step_k = 1;
    reduce.kept_n = hidden.kept, reduce.kept_k = pooled.kept;
    reduce.tensor = hidden, reduce.activation = ACTIVATION_RELU;
    expand.from = rows->hidden;
    expand.weight = squeeze->expand, expand.bias = squeeze->expand_bias;
    expand.step_n = hidden.channels, expand.step_k = 1;
    expand.kept_n = pooled.kept, expand.kept_k = hidden.kept;
    expand.tensor = squeeze->gate, expand.activation = ACTIVATION_HARD_SIGMOID;
    launch_product<T>(reduce, hidden.channels, true, slice);
    launch_product<T>(expand, pooled.channels, true, slice);
    return cuda_launched("squeeze_excite_forward");
}

template <class T>
enum status cuda_excite_backward(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, const struct slice *slice) {
    const struct tensor &pooled = squeeze->pooled, &hidden = squeeze->hidden;
    struct product expand = {}, reduce = {};
    reduce.segments = expand.segments = slice->device_segments;
    expand.from = rows->d_gate, expand.into = rows->d_hidden;
    expand.weight = squeeze->expand, expand.step_n = 1, expand.step_k = hidden.channels;
    expand.kept_n = hidden.kept, expand.kept_k = pooled.kept;
    expand.tensor = hidden, expand.values = rows->hidden;
    reduce.from = rows->d_hidden, reduce.into = rows->d_pooled;
    reduce.weight = squeeze->reduce, reduce.step_n = 1, reduce.step_k = pooled.channels;
    reduce.kept_n = pooled.kept, reduce.kept_k = hidden.kept;
    launch_product<T>(expand, rows->d_hidden.length, false, slice);
    launch_product<T>(reduce, rows->d_pooled.length, false, slice);
    return cuda_launched("squeeze_excite_backward");
}

#define INSTANTIATE(T)                                                                             \
    template enum status cuda_excite_forward<T>(const struct squeeze_excite *,                     \
                                                const struct excite_rows *, const struct slice *); \
    template enum status cuda_excite_backward<T>(                                                  \
        const struct squeeze_excite *, const struct excite_rows *, const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
