/* Products of squeeze-excite: rows of images times a matrix's prefix. They are small, so what
 * counts is the time that memory takes to answer: a tile of results is small, that there be many
 * blocks; a block loads long pieces of its rows at once, and its warps share a piece out among
 * themselves. */
#include "cuda_ops.h"
#include "squeeze_excite.cuh"

constexpr int TILE = 16; /* images, and columns */
constexpr int THREADS = TILE * TILE, WARPS = THREADS / WARP;
constexpr int PIECE = THREADS; /* factors of a sum that are loaded at once */
constexpr int FACTORS = 4;     /* that a thread takes at once */

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

typedef float piece[TILE][PIECE + FACTORS]; /* [image or n][k]; rows stay aligned to 16 bytes */

struct __align__(16) pieces_of_rows {
    piece images, weights;
};

/* A thread's share of both pieces, on its way from memory. */
struct fetched {
    float images[TILE], weights[TILE];
};

/* Where an element of the weights' piece lies: threads go along what is contiguous in memory. */
struct place {
    int n, k;
};
static __device__ __forceinline__ struct place place_of(const struct product &product, int i) {
    int thread = (int)threadIdx.x;
    if (product.step_k == 1)
        return {i, thread};
    return {thread % TILE, thread / TILE + i * TILE};
}

/* What lies past the kept ones may be anything: it is not read. */
static __device__ __forceinline__ void fetch(struct fetched &fetched, const struct product &product,
                                             const float *from, int images, int n, int k,
                                             int kept_n, int kept_k) {
    int at = k + (int)threadIdx.x;
#pragma unroll
    for (int i = 0; i < TILE; i++)
        fetched.images[i] =
            i < images && at < kept_k ? from[(size_t)i * product.from.length + at] : 0.0f;
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        struct place place = place_of(product, i);
        int at_n = n + place.n, at_k = k + place.k;
        fetched.weights[i] =
            at_n < kept_n && at_k < kept_k
                ? product.weight[(size_t)at_n * product.step_n + (size_t)at_k * product.step_k]
                : 0.0f;
    }
}

static __device__ __forceinline__ void
put(struct pieces_of_rows &room, const struct product &product, const struct fetched &fetched) {
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        struct place place = place_of(product, i);
        room.images[i][threadIdx.x] = fetched.images[i];
        room.weights[place.n][place.k] = fetched.weights[i];
    }
}

/* The results of a thread: images line, line + 4, ... and columns, of its warp's share of k. */
constexpr int LINES = 4, COLUMNS = WARP / LINES;
constexpr int EACH_IMAGES = TILE / LINES, EACH_COLUMNS = TILE / COLUMNS;
typedef float results_of_thread[EACH_IMAGES][EACH_COLUMNS];

static __device__ __forceinline__ float add_products(float sum, const float4 &a, const float4 &b) {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

/* A piece is summed up by itself: long sums of few summands each lose less. */
static __device__ __forceinline__ void multiply(const struct pieces_of_rows &room, int factors,
                                                results_of_thread &results) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int line = lane / COLUMNS, column = lane % COLUMNS;
    results_of_thread sums = {};
#pragma unroll 1
    for (int k = warp * FACTORS; k < factors; k += WARPS * FACTORS) {
        float4 images[EACH_IMAGES], weights[EACH_COLUMNS];
#pragma unroll
        for (int i = 0; i < EACH_IMAGES; i++)
            images[i] = *reinterpret_cast<const float4 *>(&room.images[line + i * LINES][k]);
#pragma unroll
        for (int j = 0; j < EACH_COLUMNS; j++)
            weights[j] = *reinterpret_cast<const float4 *>(&room.weights[column + j * COLUMNS][k]);
#pragma unroll
        for (int i = 0; i < EACH_IMAGES; i++)
#pragma unroll
            for (int j = 0; j < EACH_COLUMNS; j++)
                sums[i][j] = add_products(sums[i][j], images[i], weights[j]);
    }
#pragma unroll
    for (int i = 0; i < EACH_IMAGES; i++)
#pragma unroll
        for (int j = 0; j < EACH_COLUMNS; j++)
            results[i][j] += sums[i][j];
}

/* The sum for image thread / TILE of the tile and column thread % TILE: the warps' shares in order.
 */
static __device__ __forceinline__ float add_warps(struct pieces_of_rows &room,
                                                  const results_of_thread &results) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    float *shares = &room.images[0][0]; /* [warp][image][column] */
    static_assert(sizeof room.images >= WARPS * THREADS * sizeof(float), "room for the shares");
#pragma unroll
    for (int i = 0; i < EACH_IMAGES; i++)
#pragma unroll
        for (int j = 0; j < EACH_COLUMNS; j++)
            shares[warp * THREADS + (lane / COLUMNS + i * LINES) * TILE + lane % COLUMNS +
                   j * COLUMNS] = results[i][j];
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int i = 0; i < WARPS; i++)
        sum += shares[i * THREADS + (int)threadIdx.x];
    return sum;
}

/* The next pieces are on their way while these are multiplied. */
static __device__ __forceinline__ float product_of(struct pieces_of_rows &room,
                                                   const struct product &product, const float *from,
                                                   int images, int n, int kept_n, int kept_k) {
    results_of_thread results = {};
    struct fetched fetched;
    fetch(fetched, product, from, images, n, 0, kept_n, kept_k);
    for (int k = 0; k < kept_k; k += PIECE) {
        put(room, product, fetched);
        __syncthreads();
        if (k + PIECE < kept_k)
            fetch(fetched, product, from, images, n, k + PIECE, kept_n, kept_k);
        multiply(room, min(PIECE, kept_k - k), results);
        __syncthreads();
    }
    return add_warps(room, results);
}

/* x: columns, y: images, z: segment */
template <class T>
static __global__ void __launch_bounds__(THREADS, 2) forward_kernel(const struct product product) {
    __shared__ struct pieces_of_rows room;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * TILE;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (n >= kept_n || first >= segment.images)
        return;
    float sum = product_of(room, product, image_row(product.from, segment, first),
                           segment.images - first, n, kept_n, kept_k);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE;
    if (column >= kept_n || image >= segment.images)
        return;
    float result = activate(product.activation, product.bias[column] + sum);
    tensor_row<T>(product.tensor, segment, image)[column] = from_float<T>(result);
    if (product.into.at != NULL)
        image_row(product.into, segment, image)[column] = result;
}

/* Writes rows to their full length: zeros past the kept columns. */
template <class T>
static __global__ void __launch_bounds__(THREADS, 2) backward_kernel(const struct product product) {
    __shared__ struct pieces_of_rows room;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * TILE;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (first >= segment.images)
        return;
    float sum = product_of(room, product, image_row(product.from, segment, first),
                           segment.images - first, n, kept_n, n < kept_n ? kept_k : 0);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE;
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
static void launch_product(const struct product &product, int columns, bool forward,
                           const struct slice *slice) {
    dim3 grid(pieces(columns, TILE), pieces(largest_segment(slice), TILE), slice->count);
    if (forward)
        LAUNCH(forward_kernel<T>, grid, THREADS, 0, cuda_stream(), product);
    else
        LAUNCH(backward_kernel<T>, grid, THREADS, 0, cuda_stream(), product);
}

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
