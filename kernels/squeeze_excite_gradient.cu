/* The gradients of squeeze-excite's parameters, from the rows of all images, and where these rows
 * lie. An element's terms are added image by image to what is there: the order does not depend on
 * how a batch is cut into slices. */
#include "squeeze_excite.cuh"

constexpr int TILE = 32, THREADS = 256;     /* TILE x TILE results of a block */
constexpr int EACH = TILE * TILE / THREADS; /* of a thread */
constexpr int LINES = THREADS / TILE;       /* images that all threads load at once */
constexpr int IMAGES = 64;                  /* under way at once */
constexpr int TURNS = IMAGES / LINES;

/* gradient[n][k] += d[image][n] value[image][k] and bias[n] += d[image][n] for all images. */
struct outer {
    struct image_rows d, value;
    int columns_n, columns_k;
    float *gradient, *bias;
};

struct outers {
    struct outer reduce, expand;
    int images;
};

typedef float tile[IMAGES][TILE + 4]; /* [image][column]; rows stay aligned to 16 bytes */

static __device__ __forceinline__ void fetch(float (&into)[TURNS], const struct image_rows &rows,
                                             int first, int images, int column) {
    int at = column + (int)threadIdx.x % TILE, image = first + (int)threadIdx.x / TILE;
#pragma unroll
    for (int i = 0; i < TURNS; i++, image += LINES)
        into[i] =
            image < images && at < rows.length ? rows.at[(size_t)image * rows.length + at] : 0.0f;
}

static __device__ __forceinline__ void put(tile &tile, const float (&from)[TURNS]) {
#pragma unroll
    for (int i = 0; i < TURNS; i++)
        tile[(int)threadIdx.x / TILE + i * LINES][(int)threadIdx.x % TILE] = from[i];
}

static __device__ __forceinline__ void add_images(const tile &d, const tile &value, int row,
                                                  int column, float (&results)[EACH]) {
#pragma unroll 8
    for (int image = 0; image < IMAGES; image++) {
        float4 of_d = *reinterpret_cast<const float4 *>(&d[image][row]);
        float times = value[image][column];
        results[0] += of_d.x * times, results[1] += of_d.y * times;
        results[2] += of_d.z * times, results[3] += of_d.w * times;
    }
}

static __device__ __forceinline__ float add_column(const tile &d, int column, float sum) {
#pragma unroll 16
    for (int image = 0; image < IMAGES; image++)
        sum += d[image][column];
    return sum;
}

/* z: which of the two matrices; x: tiles of all channels, y: of hidden ones */
static __global__ void __launch_bounds__(THREADS) outer_kernel(const struct outers all) {
    __shared__ tile d, value;
    const struct outer outer = blockIdx.z == 0 ? all.reduce : all.expand;
    int n = (int)(blockIdx.z == 0 ? blockIdx.y : blockIdx.x) * TILE;
    int k = (int)(blockIdx.z == 0 ? blockIdx.x : blockIdx.y) * TILE;
    int column = (int)threadIdx.x % TILE, row = (int)threadIdx.x / TILE * EACH;
    bool sums = k == 0 && (int)threadIdx.x < TILE && n + column < outer.columns_n;
    float *into = outer.gradient + (size_t)(n + row) * outer.columns_k + k + column;
    int rows = k + column < outer.columns_k ? outer.columns_n - n - row : 0;
    float results[EACH], bias = sums ? outer.bias[n + column] : 0.0f;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        results[i] = i < rows ? into[(size_t)i * outer.columns_k] : 0.0f;

    float next_d[TURNS], next_value[TURNS];
    fetch(next_d, outer.d, 0, all.images, n);
    fetch(next_value, outer.value, 0, all.images, k);
    for (int first = 0; first < all.images; first += IMAGES) {
        put(d, next_d);
        put(value, next_value);
        __syncthreads();
        fetch(next_d, outer.d, first + IMAGES, all.images, n);
        fetch(next_value, outer.value, first + IMAGES, all.images, k);
        add_images(d, value, row, column, results);
        if (sums)
            bias = add_column(d, column, bias);
        __syncthreads();
    }
    if (sums)
        outer.bias[n + column] = bias;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (i < rows)
            into[(size_t)i * outer.columns_k] = results[i];
}

static struct image_rows take_rows(float **next, int channels, int first, int count) {
    struct image_rows rows = {*next, round_up(channels, LANES), first};
    *next += (size_t)count * rows.length;
    return rows;
}

struct excite_rows excite_rows_of(const struct squeeze_excite *squeeze, const struct slice *slice) {
    struct excite_rows rows = {};
    int first = slice->segments[0].first, end = 0;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        first = segment->first < first ? segment->first : first;
        end = segment->first + segment->images > end ? segment->first + segment->images : end;
        rows.images += segment->images;
    }
    int channels = squeeze->pooled.channels, hidden = squeeze->hidden.channels;
    float *next = (float *)slice->scratch;
    rows.count = end - first;
    rows.pooled = take_rows(&next, channels, first, rows.count);
    rows.d_gate = take_rows(&next, channels, first, rows.count);
    rows.d_pooled = take_rows(&next, channels, first, rows.count);
    rows.hidden = take_rows(&next, hidden, first, rows.count);
    rows.d_hidden = take_rows(&next, hidden, first, rows.count);
    return rows;
}

static __global__ void __launch_bounds__(THREADS) clear_kernel(float *rows, size_t count) {
    size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at < count)
        rows[at] = 0;
}

/* A slice may leave slots out: their rows, which lie one behind the other, add nothing. */
enum status cuda_excite_clear(const struct excite_rows *rows) {
    if (rows->images == rows->count)
        return STATUS_OK;
    size_t length = 3 * rows->pooled.length + 2 * rows->hidden.length;
    size_t count = rows->count * length;
    LAUNCH(clear_kernel, pieces(count, THREADS), THREADS, 0, cuda_stream(), rows->pooled.at, count);
    return cuda_launched("squeeze_excite_clear");
}

enum status cuda_excite_gradient(const struct squeeze_excite *squeeze,
                                 const struct excite_rows *rows, float *gradient) {
    int channels = squeeze->pooled.channels, hidden = squeeze->hidden.channels;
    struct outers all = {};
    all.reduce = {rows->d_hidden,
                  rows->pooled,
                  hidden,
                  channels,
                  gradient + squeeze->reduce_offset,
                  gradient + squeeze->reduce_bias_offset};
    all.expand = {rows->d_gate,
                  rows->hidden,
                  channels,
                  hidden,
                  gradient + squeeze->expand_offset,
                  gradient + squeeze->expand_bias_offset};
    all.images = rows->count;
    LAUNCH(outer_kernel, dim3(pieces(channels, TILE), pieces(hidden, TILE), 2), THREADS, 0,
           cuda_stream(), all);
    return cuda_launched("squeeze_excite_gradient");
}
