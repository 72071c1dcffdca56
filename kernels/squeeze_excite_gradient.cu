/* The gradients of squeeze-excite's parameters, from the rows of all images, and where these rows
 * lie. */
#include "float_product.cuh"
#include "squeeze_excite.cuh"

constexpr int TILE = 32; /* TILE x TILE results of a block */
constexpr int THREADS = 128, WARPS = THREADS / WARP;
constexpr int PIECE = 16, EACH = 4; /* images that a warp takes at a time, and of them a lane */

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

/* A lane's four neighbouring columns of each of its images. */
static __device__ __forceinline__ void
fetch(struct quad (&into)[EACH], const struct image_rows &rows, int first, int images, int column) {
    int at = column + (int)threadIdx.x % WARP / 4 * 4, image = first + (int)threadIdx.x % 4 * EACH;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        into[i] = load_quad(rows.at + (size_t)(image + i) * rows.length + at,
                            image + i < images && at < rows.length ? 4 : 0, true);
}

/* A warp's share of the results: [rows, 16 of each][columns, 8 of each]. Row and column l / 4 of
 * one of them are neighbours, in memory, of those of the others. */
struct shares {
    sum_fragment sums[2][4];
    float bias[4];
};

template <class T>
static __device__ __forceinline__ void
add_piece(struct shares &shares, const struct quad (&d)[EACH], const struct quad (&value)[EACH]) {
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            shares.bias[c] += d[i].of[c];
#pragma unroll
    for (int i = 0; i < EACH; i += 2) {
        struct halves<4> left[2];
#pragma unroll
        for (int u = 0; u < 2; u++) {
            tf32_left rows = {d[i].of[2 * u], d[i].of[2 * u + 1], d[i + 1].of[2 * u],
                              d[i + 1].of[2 * u + 1]};
            left[u] = halves_of(rows);
        }
#pragma unroll
        for (int t = 0; t < 4; t++) {
            tf32_right columns = {value[i].of[t], value[i + 1].of[t]};
            struct halves<2> right = halves_of(columns);
            add_product<T>(shares.sums[0][t], left[0], right);
            add_product<T>(shares.sums[1][t], left[1], right);
        }
    }
}

/* Of every warp, lane by lane: four neighbouring columns of eight rows. */
struct room {
    float4 quads[WARPS][8][WARP];
    float bias[WARPS][TILE];
};

static __device__ __forceinline__ void put(struct room &room, const struct shares &shares) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int u = 0; u < 2; u++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            room.quads[warp][u * 4 + i][lane] =
                make_float4(shares.sums[u][0][i], shares.sums[u][1][i], shares.sums[u][2][i],
                            shares.sums[u][3][i]);
#pragma unroll
    for (int c = 0; c < 4; c++) {
        float sum = shares.bias[c];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane % 4 == 0)
            room.bias[warp][lane + c] = sum;
    }
}

/* Where the quads that a thread finishes lie: two neighbours of one row. */
struct finish {
    float *at;
    int columns; /* that exist, from the first on */
    bool aligned;
};

static __device__ __forceinline__ struct finish finish_of(const struct outer &outer, int n, int k) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int row = n + lane / 4 * 4 + warp, column = k + lane % 4 * 8;
    return {outer.gradient + (size_t)row * outer.columns_k + column,
            row < outer.columns_n ? outer.columns_k - column : 0,
            is_aligned(outer.gradient, outer.columns_k)};
}

static __device__ __forceinline__ void
add_warps(const struct room &room, const struct finish &finish, struct quad (&before)[2]) {
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float sums[4] = {};
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            float4 quad = room.quads[w][warp * 2 + i][lane];
            sums[0] += quad.x, sums[1] += quad.y, sums[2] += quad.z, sums[3] += quad.w;
        }
#pragma unroll
        for (int c = 0; c < 4; c++)
            before[i].of[c] += sums[c];
        store_quad(finish.at + 4 * i, before[i], finish.columns - 4 * i, finish.aligned);
    }
}

/* z: which of the two matrices; x: tiles of all channels, y: of hidden ones */
template <class T>
static __global__ void __launch_bounds__(THREADS, 4) outer_kernel(const struct outers all) {
    __shared__ struct room room;
    const struct outer outer = blockIdx.z == 0 ? all.reduce : all.expand;
    int n = (int)(blockIdx.z == 0 ? blockIdx.y : blockIdx.x) * TILE;
    int k = (int)(blockIdx.z == 0 ? blockIdx.x : blockIdx.y) * TILE;
    struct shares shares = {};
#pragma unroll 2
    for (int first = (int)threadIdx.x / WARP * PIECE; first < all.images; first += WARPS * PIECE) {
        struct quad d[EACH], value[EACH];
        fetch(d, outer.d, first, all.images, n);
        fetch(value, outer.value, first, all.images, k);
        add_piece<T>(shares, d, value);
    }
    struct finish finish = finish_of(outer, n, k);
    struct quad before[2];
#pragma unroll
    for (int i = 0; i < 2; i++)
        before[i] = load_quad(finish.at + 4 * i, finish.columns - 4 * i, finish.aligned);
    put(room, shares);
    __syncthreads();
    add_warps(room, finish, before);
    int column = (int)threadIdx.x;
    if (k == 0 && column < TILE && n + column < outer.columns_n) {
        float sum = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++)
            sum += room.bias[w][column];
        outer.bias[n + column] += sum;
    }
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

template <class T>
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
    LAUNCH(outer_kernel<T>, dim3(pieces(channels, TILE), pieces(hidden, TILE), 2), THREADS, 0,
           cuda_stream(), all);
    return cuda_launched("squeeze_excite_gradient");
}

template enum status cuda_excite_gradient<float>(const struct squeeze_excite *,
                                                 const struct excite_rows *, float *);
template enum status cuda_excite_gradient<bf16>(const struct squeeze_excite *,
                                                const struct excite_rows *, float *);
