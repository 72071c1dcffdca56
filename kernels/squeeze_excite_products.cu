/* Products of squeeze-excite: vectors of images times a matrix's prefix, and the matrices'
 * gradients. Tiles of TILE x TILE results, in shared memory by steps of TILE. */
#include "cuda_ops.h"
#include "squeeze_excite.cuh"

enum { TILE = 32, THREADS = 256, EACH = TILE * TILE / THREADS /* results of a thread */ };

/* result[image][n] = activation(bias[n] + sum over k < depth of from[image][k] weight(n, k)) */
struct product {
    const struct segment *segments;
    const float *weight;
    int step_n, step_k;         /* of weight: one of them is 1 */
    const int *kept_n, *kept_k; /* [group] */

    /* Forward: tensors, packed by what the group keeps. */
    struct tensor from, into;
    const float *bias;
    enum activation activation;

    /* Backward: rows of full length; results pass where hidden is positive. */
    struct excite_rows rows;
    const float *from_rows;
    float *into_rows;
    int from_length, into_length;
    struct tensor hidden; /* data NULL: all pass */
};

struct tiles {
    float images[TILE][TILE + 4];  /* [k][image] */
    float weights[TILE][TILE + 1]; /* [k][n] */
};

/* results[i]: of image 4 (thread / TILE) + i of the tile, column thread % TILE. */
static __device__ __forceinline__ void multiply(const struct tiles &tiles, float (&results)[EACH]) {
    int column = (int)threadIdx.x % TILE, row = (int)threadIdx.x / TILE * EACH;
#pragma unroll 8
    for (int k = 0; k < TILE; k++) {
        float weight = tiles.weights[k][column];
        float4 images = *reinterpret_cast<const float4 *>(&tiles.images[k][row]);
        results[0] += images.x * weight, results[1] += images.y * weight;
        results[2] += images.z * weight, results[3] += images.w * weight;
    }
}

/* Weights past the kept ones may hold anything: they are not read. */
static __device__ __forceinline__ void load_weights(struct tiles &tiles,
                                                    const struct product &product, int n, int k,
                                                    int kept_n, int kept_k) {
    int fast = (int)threadIdx.x % TILE, slow = (int)threadIdx.x / TILE;
    bool along_k = product.step_k == 1;
#pragma unroll
    for (int i = 0; i < EACH; i++, slow += THREADS / TILE) {
        int at_n = along_k ? slow : fast, at_k = along_k ? fast : slow;
        float weight = 0;
        if (n + at_n < kept_n && k + at_k < kept_k)
            weight = product.weight[(size_t)(n + at_n) * product.step_n +
                                    (size_t)(k + at_k) * product.step_k];
        tiles.weights[at_k][at_n] = weight;
    }
}

template <class Element>
static __device__ __forceinline__ void load_images(struct tiles &tiles, const Element *from, int ld,
                                                   int images, int k, int kept_k) {
    int at_k = (int)threadIdx.x % TILE, image = (int)threadIdx.x / TILE;
#pragma unroll
    for (int i = 0; i < EACH; i++, image += THREADS / TILE) {
        float value = 0;
        if (image < images && k + at_k < kept_k)
            value = to_float(from[(size_t)image * ld + k + at_k]);
        tiles.images[at_k][image] = value;
    }
}

template <class Element>
static __device__ __forceinline__ void
product_of(struct tiles &tiles, const struct product &product, const Element *from, int ld,
           int images, int n, int kept_n, int kept_k, float (&results)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
        results[i] = 0;
    for (int k = 0; k < kept_k; k += TILE) {
        load_images(tiles, from, ld, images, k, kept_k);
        load_weights(tiles, product, n, k, kept_n, kept_k);
        __syncthreads();
        multiply(tiles, results);
        __syncthreads();
    }
}

/* x: columns, y: images, z: segment */
template <class T>
static __global__ void __launch_bounds__(THREADS) forward_kernel(const struct product product) {
    __shared__ struct tiles tiles;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * TILE;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (n >= kept_n || first >= segment.images)
        return;
    float results[EACH];
    product_of(tiles, product, image_row<T>(product.from, segment, first),
               tensor_ld(&product.from, &segment), segment.images - first, n, kept_n, kept_k,
               results);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE * EACH;
    if (column >= kept_n)
        return;
    float bias = product.bias[column];
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (image + i < segment.images)
            image_row<T>(product.into, segment, image + i)[column] =
                from_float<T>(activate(product.activation, bias + results[i]));
}

/* Writes rows to their full length: zeros past the kept columns. */
template <class T>
static __global__ void __launch_bounds__(THREADS) backward_kernel(const struct product product) {
    __shared__ struct tiles tiles;
    struct segment segment = product.segments[blockIdx.z];
    int n = (int)blockIdx.x * TILE, first = (int)blockIdx.y * TILE;
    int kept_n = product.kept_n[segment.group], kept_k = product.kept_k[segment.group];
    if (first >= segment.images)
        return;
    float results[EACH];
    const float *from =
        excite_row((float *)product.from_rows, product.from_length, product.rows, segment, first);
    product_of(tiles, product, from, product.from_length, segment.images - first, n, kept_n,
               n < kept_n ? kept_k : 0, results);
    int column = n + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE * EACH;
    if (column >= product.into_length)
        return;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        if (image + i >= segment.images)
            break;
        float result = column < kept_n ? results[i] : 0;
        if (product.hidden.data != NULL) {
            float value = column < kept_n
                              ? to_float(image_row<T>(product.hidden, segment, image + i)[column])
                              : 0.0f;
            excite_row(product.rows.hidden_values, product.rows.hidden, product.rows, segment,
                       image + i)[column] = value;
            result = value > 0 ? result : 0;
        }
        excite_row(product.into_rows, product.into_length, product.rows, segment,
                   image + i)[column] = result;
    }
}

/* gradient[n][k] += sum over images of d[image][n] value[image][k]; bias[n] += sum of d. */
struct outer {
    const float *d, *value; /* rows of all images */
    int columns_n, columns_k;
    int length_n, length_k;
    float *gradient, *bias;
};

struct outers {
    struct outer of[2];
    int images;
};

static __device__ __forceinline__ void load_rows(float (&tile)[TILE][TILE + 4], const float *rows,
                                                 int length, int first, int images, int column) {
    int at = (int)threadIdx.x % TILE, image = (int)threadIdx.x / TILE;
#pragma unroll
    for (int i = 0; i < EACH; i++, image += THREADS / TILE)
        tile[image][at] = first + image < images && column + at < length
                              ? rows[(size_t)(first + image) * length + column + at]
                              : 0.0f;
}

/* x: columns k, y: rows n, z: which of the two matrices */
static __global__ void __launch_bounds__(THREADS) outer_kernel(const struct outers all) {
    __shared__ float d[TILE][TILE + 4], value[TILE][TILE + 4]; /* [image][column] */
    const struct outer outer = blockIdx.z == 0 ? all.of[0] : all.of[1];
    int n = (int)blockIdx.y * TILE, k = (int)blockIdx.x * TILE;
    if (n >= outer.columns_n || k >= outer.columns_k)
        return;
    int column = (int)threadIdx.x % TILE, row = (int)threadIdx.x / TILE * EACH;
    bool sums = k == 0 && (int)threadIdx.x < TILE;
    float results[EACH] = {}, bias = 0;
    for (int first = 0; first < all.images; first += TILE) {
        load_rows(d, outer.d, outer.length_n, first, all.images, n);
        load_rows(value, outer.value, outer.length_k, first, all.images, k);
        __syncthreads();
#pragma unroll 8
        for (int image = 0; image < TILE; image++) {
            float4 of_d = *reinterpret_cast<const float4 *>(&d[image][row]);
            float times = value[image][column];
            results[0] += of_d.x * times, results[1] += of_d.y * times;
            results[2] += of_d.z * times, results[3] += of_d.w * times;
        }
        for (int image = 0; image < TILE && sums; image++)
            bias += d[image][column];
        __syncthreads();
    }
    if (sums && n + column < outer.columns_n)
        outer.bias[n + column] += bias;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (n + row + i < outer.columns_n && k + column < outer.columns_k)
            outer.gradient[(size_t)(n + row + i) * outer.columns_k + k + column] += results[i];
}

static size_t rounded_length(int channels) {
    return round_up(channels, LANES);
}

struct excite_rows excite_rows_of(const struct squeeze_excite *squeeze, const struct slice *slice) {
    struct excite_rows rows = {};
    int end = 0;
    rows.first = slice->segments[0].first;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        rows.first = segment->first < rows.first ? segment->first : rows.first;
        end = segment->first + segment->images > end ? segment->first + segment->images : end;
    }
    rows.count = end - rows.first;
    rows.channels = (int)rounded_length(squeeze->pooled.channels);
    rows.hidden = (int)rounded_length(squeeze->hidden.channels);
    size_t wide = (size_t)rows.count * rows.channels, narrow = (size_t)rows.count * rows.hidden;
    float *next = (float *)slice->scratch;
    rows.pooled = next, rows.d_gate = next + wide, rows.d_pooled = next + 2 * wide;
    rows.hidden_values = next + 3 * wide, rows.d_hidden = rows.hidden_values + narrow;
    return rows;
}

static dim3 grid_of(int columns, const struct slice *slice) {
    return dim3(pieces(columns, TILE), pieces(largest_segment(slice), TILE), slice->count);
}

template <class T>
enum status cuda_excite_forward(const struct squeeze_excite *squeeze, const struct slice *slice) {
    const struct tensor &pooled = squeeze->pooled, &hidden = squeeze->hidden;
    struct product reduce = {}, expand = {};
    reduce.segments = expand.segments = slice->device_segments;
    reduce.weight = squeeze->reduce, reduce.bias = squeeze->reduce_bias;
    reduce.step_n = pooled.channels, reduce.step_k = 1;
    reduce.kept_n = hidden.kept, reduce.kept_k = pooled.kept;
    reduce.from = pooled, reduce.into = hidden, reduce.activation = ACTIVATION_RELU;
    expand.weight = squeeze->expand, expand.bias = squeeze->expand_bias;
    expand.step_n = hidden.channels, expand.step_k = 1;
    expand.kept_n = pooled.kept, expand.kept_k = hidden.kept;
    expand.from = hidden, expand.into = squeeze->gate;
    expand.activation = ACTIVATION_HARD_SIGMOID;
    LAUNCH(forward_kernel<T>, grid_of(hidden.channels, slice), THREADS, 0, cuda_stream(), reduce);
    LAUNCH(forward_kernel<T>, grid_of(pooled.channels, slice), THREADS, 0, cuda_stream(), expand);
    return cuda_launched("squeeze_excite_forward");
}

static void launch_outers(const struct squeeze_excite *squeeze, const struct excite_rows *rows,
                          float *gradient) {
    int channels = squeeze->pooled.channels, hidden = squeeze->hidden.channels;
    struct outers all = {};
    all.of[0] = {rows->d_hidden,
                 rows->pooled,
                 hidden,
                 channels,
                 rows->hidden,
                 rows->channels,
                 gradient + squeeze->reduce_offset,
                 gradient + squeeze->reduce_bias_offset};
    all.of[1] = {rows->d_gate,
                 rows->hidden_values,
                 channels,
                 hidden,
                 rows->channels,
                 rows->hidden,
                 gradient + squeeze->expand_offset,
                 gradient + squeeze->expand_bias_offset};
    all.images = rows->count;
    int most = pieces(channels > hidden ? channels : hidden, TILE);
    LAUNCH(outer_kernel, dim3(most, most, 2), THREADS, 0, cuda_stream(), all);
}

template <class T>
enum status cuda_excite_backward(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, const struct slice *slice) {
    const struct tensor &pooled = squeeze->pooled, &hidden = squeeze->hidden;
    struct product expand = {}, reduce = {};
    reduce.segments = expand.segments = slice->device_segments;
    reduce.rows = expand.rows = *rows;
    expand.weight = squeeze->expand, expand.step_n = 1, expand.step_k = hidden.channels;
    expand.kept_n = hidden.kept, expand.kept_k = pooled.kept;
    expand.from_rows = rows->d_gate, expand.from_length = rows->channels;
    expand.into_rows = rows->d_hidden, expand.into_length = rows->hidden;
    expand.hidden = hidden;
    reduce.weight = squeeze->reduce, reduce.step_n = 1, reduce.step_k = pooled.channels;
    reduce.kept_n = pooled.kept, reduce.kept_k = hidden.kept;
    reduce.from_rows = rows->d_hidden, reduce.from_length = rows->hidden;
    reduce.into_rows = rows->d_pooled, reduce.into_length = rows->channels;
    LAUNCH(backward_kernel<T>, grid_of(rows->hidden, slice), THREADS, 0, cuda_stream(), expand);
    LAUNCH(backward_kernel<T>, grid_of(rows->channels, slice), THREADS, 0, cuda_stream(), reduce);
    launch_outers(squeeze, rows, slice->gradient);
    return cuda_launched("squeeze_excite_backward");
}

#define INSTANTIATE(T)                                                                             \
    template enum status cuda_excite_forward<T>(const struct squeeze_excite *,                     \
                                                const struct slice *);                             \
    template enum status cuda_excite_backward<T>(                                                  \
        const struct squeeze_excite *, const struct excite_rows *, const struct slice *);
INSTANTIATE(float)
INSTANTIATE(bf16)
