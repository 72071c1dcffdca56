/* Products of squeeze-excite: rows of images times a matrix's prefix. A tile of results has TILE
 * columns and EACH images per line of threads, so that small segments do not leave most of it
 * empty; factors go through shared memory by steps of TILE. */
#include "cuda_ops.h"
#include "squeeze_excite.cuh"

constexpr int TILE = 32, THREADS = 256;
constexpr int LINES = THREADS / TILE; /* of threads */
constexpr int WEIGHTS = TILE / LINES; /* of a tile, that a thread loads */

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

template <int EACH> struct __align__(16) tiles {
    float images[TILE][LINES * EACH + 4]; /* [k][image]; rows stay aligned to 16 bytes */
    float weights[TILE][TILE + 1];        /* [k][n] */
};

template <int EACH> struct neighbours;
template <> struct neighbours<1> { float of[1]; };
template <> struct __align__(8) neighbours<2> {
    float of[2];
};
template <> struct __align__(16) neighbours<4> {
    float of[4];
};

/* results[i] is of image EACH (thread / TILE) + i of the tile and column thread % TILE. A tile is
 * summed up by itself: long sums of few summands each lose less. */
template <int EACH>
static __device__ __forceinline__ void multiply(const struct tiles<EACH> &tiles,
                                                float (&results)[EACH]) {
    int column = (int)threadIdx.x % TILE, row = (int)threadIdx.x / TILE * EACH;
    float sums[EACH] = {};
#pragma unroll 8
    for (int k = 0; k < TILE; k++) {
        float weight = tiles.weights[k][column];
        struct neighbours<EACH> images =
            *reinterpret_cast<const struct neighbours<EACH> *>(&tiles.images[k][row]);
#pragma unroll
        for (int i = 0; i < EACH; i++)
            sums[i] += images.of[i] * weight;
    }
#pragma unroll
    for (int i = 0; i < EACH; i++)
        results[i] += sums[i];
}

/* A thread's share of both tiles, on its way from memory. Weights past the kept ones may hold
 * anything: they are not read. */
template <int EACH> struct fetched { float images[EACH], weights[WEIGHTS]; };

template <int EACH>
static __device__ __forceinline__ struct fetched<EACH> fetch(const struct product &product,
                                                             const float *from, int images, int n,
                                                             int k, int kept_n, int kept_k) {
    int fast = (int)threadIdx.x % TILE, slow = (int)threadIdx.x / TILE;
    bool along_k = product.step_k == 1;
    struct fetched<EACH> fetched;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int image = slow + i * LINES;
        fetched.images[i] = image < images && k + fast < kept_k
                                ? from[(size_t)image * product.from.length + k + fast]
                                : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < WEIGHTS; i++, slow += LINES) {
        int at_n = n + (along_k ? slow : fast), at_k = k + (along_k ? fast : slow);
        fetched.weights[i] =
            at_n < kept_n && at_k < kept_k
                ? product.weight[(size_t)at_n * product.step_n + (size_t)at_k * product.step_k]
                : 0.0f;
    }
    return fetched;
}

template <int EACH>
static __device__ __forceinline__ void put(struct tiles<EACH> &tiles,
                                           const struct fetched<EACH> &fetched, bool along_k) {
    int fast = (int)threadIdx.x % TILE, slow = (int)threadIdx.x / TILE;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        tiles.images[fast][slow + i * LINES] = fetched.images[i];
#pragma unroll
    for (int i = 0; i < WEIGHTS; i++, slow += LINES)
        tiles.weights[along_k ? fast : slow][along_k ? slow : fast] = fetched.weights[i];
}

/* The next tiles are on their way while these are multiplied. */
template <int EACH>
static __device__ __forceinline__ void
product_of(struct tiles<EACH> &tiles, const struct product &product, const float *from, int images,
           int n, int kept_n, int kept_k, float (&results)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
        results[i] = 0;
    struct fetched<EACH> fetched = fetch<EACH>(product, from, images, n, 0, kept_n, kept_k);
    for (int k = 0; k < kept_k; k += TILE) {
        put(tiles, fetched, product.step_k == 1);
        __syncthreads();
        fetched = fetch<EACH>(product, from, images, n, k + TILE, kept_n, kept_k);
        multiply(tiles, results);
        __syncthreads();
    }
}

/* x: columns, y: images, z: segment */
template <class T, int EACH>
static __global__ void __launch_bounds__(THREADS) forward_kernel(const struct product product) {
    __shared__ struct tiles<EACH> tiles;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * LINES * EACH;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (n >= kept_n || first >= segment.images)
        return;
    float results[EACH];
    product_of(tiles, product, image_row(product.from, segment, first), segment.images - first, n,
               kept_n, kept_k, results);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE * EACH;
    if (column >= kept_n)
        return;
    float bias = product.bias[column];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        if (image + i >= segment.images)
            break;
        float result = activate(product.activation, bias + results[i]);
        tensor_row<T>(product.tensor, segment, image + i)[column] = from_float<T>(result);
        if (product.into.at != NULL)
            image_row(product.into, segment, image + i)[column] = result;
    }
}

/* Writes rows to their full length: zeros past the kept columns. */
template <class T, int EACH>
static __global__ void __launch_bounds__(THREADS) backward_kernel(const struct product product) {
    __shared__ struct tiles<EACH> tiles;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * LINES * EACH;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (first >= segment.images)
        return;
    float results[EACH];
    product_of(tiles, product, image_row(product.from, segment, first), segment.images - first, n,
               kept_n, n < kept_n ? kept_k : 0, results);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE * EACH;
    if (column >= product.into.length)
        return;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        if (image + i >= segment.images)
            break;
        float result = column < kept_n ? results[i] : 0;
        if (product.tensor.data != NULL) {
            float value = 0;
            if (column < kept_n)
                value = to_float(tensor_row<T>(product.tensor, segment, image + i)[column]);
            image_row(product.values, segment, image + i)[column] = value;
            result = value > 0 ? result : 0;
        }
        image_row(product.into, segment, image + i)[column] = result;
    }
}

template <class T, int EACH>
static void launch(const struct product &product, int columns, bool forward,
                   const struct slice *slice) {
    dim3 grid(pieces(columns, TILE), pieces(largest_segment(slice), LINES * EACH), slice->count);
    if (forward)
        LAUNCH((forward_kernel<T, EACH>), grid, THREADS, 0, cuda_stream(), product);
    else
        LAUNCH((backward_kernel<T, EACH>), grid, THREADS, 0, cuda_stream(), product);
}

template <class T>
static void launch_product(const struct product &product, int columns, bool forward,
                           const struct slice *slice) {
    int images = largest_segment(slice);
    if (images <= LINES)
        launch<T, 1>(product, columns, forward, slice);
    else if (images <= 2 * LINES)
        launch<T, 2>(product, columns, forward, slice);
    else
        launch<T, 4>(product, columns, forward, slice);
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
