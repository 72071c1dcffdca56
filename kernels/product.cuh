/* Products of a segment's rows with weights: what rows are on either side of the product.
 *
 * Left: rows of an activation, made on load. What the layer sees of its input (view_rows), or the
 * gradient of its output (gradient_rows). Right: weights [column][k], k contiguous. What becomes of
 * the sums: the output with its moments (output_rows), or the gradient of the input view with the
 * sums that its batch-norm wants (view_gradient_rows).
 *
 * A thread treats LANES neighbouring channels at a time. Lanes at or past the kept channels are
 * made 0 on load, as they may hold NaN.
 */
#ifndef TAPER_PRODUCT_CUH
#define TAPER_PRODUCT_CUH

#include "cuda.cuh"

/* Whether rows start on vectors: always, but for logits. */
static __device__ __forceinline__ bool has_vectors(const struct tensor &tensor, int ld) {
    return ld % LANES == 0 && tensor.image_size % LANES == 0;
}

template <class T>
static __device__ __forceinline__ void load_lanes(float (&into)[LANES], const T *from, int kept,
                                                  bool vectors) {
    if (vectors)
        load8(into, from);
    if (vectors && kept >= LANES)
        return;
#pragma unroll
    for (int i = 0; i < LANES; i++)
        into[i] = i >= kept ? 0.0f : vectors ? into[i] : to_float(from[i]);
}

/* Two elements in one instruction; the lower half is the first. */
static __device__ __forceinline__ unsigned pair_of(float first, float second) {
    __nv_bfloat162 two = __floats2bfloat162_rn(first, second);
    unsigned bits;
    memcpy(&bits, &two, sizeof bits);
    return bits;
}
static __device__ __forceinline__ float first_of(unsigned two) {
    return __uint_as_float(two << 16);
}
static __device__ __forceinline__ float second_of(unsigned two) {
    return __uint_as_float(two & 0xffff0000u);
}

/* Rounds what it stores. Lanes past the kept ones may belong to others. */
static __device__ __forceinline__ void store_rounded(float *to, float (&value)[LANES], int kept,
                                                     bool vectors) {
    if (vectors && kept >= LANES) {
        store8(to, value);
        return;
    }
#pragma unroll
    for (int i = 0; i < LANES; i++)
        if (i < kept)
            to[i] = value[i];
}
static __device__ __forceinline__ void store_rounded(bf16 *to, float (&value)[LANES], int kept,
                                                     bool vectors) {
    unsigned pair[LANES / 2];
#pragma unroll
    for (int i = 0; i < LANES / 2; i++) {
        pair[i] = pair_of(value[2 * i], value[2 * i + 1]);
        value[2 * i] = first_of(pair[i]), value[2 * i + 1] = second_of(pair[i]);
    }
    if (vectors && kept >= LANES) {
        *reinterpret_cast<uint4 *>(to) = make_uint4(pair[0], pair[1], pair[2], pair[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < LANES; i++)
        if (i < kept)
            to[i] = from_float<bf16>(value[i]);
}

/* y becomes by y + plus, reading few rows at a time: registers are scarce. */
static __device__ __forceinline__ void times_plus4(float (&y)[LANES], int first, const float *by,
                                                   const float4 &plus) {
    float4 times = *reinterpret_cast<const float4 *>(by + first);
    y[first] = times.x * y[first] + plus.x, y[first + 1] = times.y * y[first + 1] + plus.y;
    y[first + 2] = times.z * y[first + 2] + plus.z, y[first + 3] = times.w * y[first + 3] + plus.w;
}
static __device__ __forceinline__ void times_plus8(float (&y)[LANES], const float *by,
                                                   const float *plus) {
    times_plus4(y, 0, by, *reinterpret_cast<const float4 *>(plus));
    times_plus4(y, 4, by, *reinterpret_cast<const float4 *>(plus + 4));
}
static __device__ __forceinline__ void times_plus_values8(float (&y)[LANES], const float *by,
                                                          const float (&plus)[LANES]) {
    times_plus4(y, 0, by, make_float4(plus[0], plus[1], plus[2], plus[3]));
    times_plus4(y, 4, by, make_float4(plus[4], plus[5], plus[6], plus[7]));
}

/* ------------------------------------------------------------------ left: rows made on load */

/* a = activation(scale z + shift) * gate */
template <class T> struct view_rows {
    const T *z, *gate;
    const float *scale, *shift; /* NULL: no norm */
    int kept, ld, gate_ld, area;
    enum activation activation;
    bool vectors;
    static constexpr int STREAMS = 1, COEFFICIENTS = 2; /* z; scale and shift */

    __device__ __forceinline__ view_rows(const struct device_view &view,
                                         const struct segment &segment) {
        z = segment_data<T>(view.z, segment);
        kept = tensor_kept(&view.z, &segment), ld = tensor_ld(&view.z, &segment);
        vectors = has_vectors(view.z, ld);
        area = view.z.height * view.z.width;
        activation = view.activation;
        gate = NULL, gate_ld = 0;
        if (view.gate.data != NULL)
            gate = segment_data<T>(view.gate, segment), gate_ld = tensor_ld(&view.gate, &segment);
        scale = shift = NULL;
        if (view.norm.scale != NULL) {
            scale = view.norm.scale + view.norm.row(segment);
            shift = view.norm.shift + view.norm.row(segment);
        }
    }
    __device__ __forceinline__ bool absent() const {
        return false;
    }
    __device__ __forceinline__ void load(float (&a)[LANES], int row, int column) const {
        load_lanes(a, z + (size_t)row * ld + column, kept - column, vectors);
        if (scale != NULL) {
            float by[LANES], plus[LANES];
            load8(by, scale + column), load8(plus, shift + column);
#pragma unroll
            for (int i = 0; i < LANES; i++)
                a[i] = by[i] * a[i] + plus[i];
        }
        activate_all(activation, a);
        if (gate != NULL) {
            float by[LANES];
            load8(by, gate + (size_t)(row / area) * gate_ld + column);
#pragma unroll
            for (int i = 0; i < LANES; i++)
                a[i] *= by[i];
        }
#pragma unroll
        for (int i = 0; i < LANES; i++)
            a[i] = column + i < kept ? a[i] : 0.0f;
    }
};

/* The gradient of a layer's output, and its batch-norm's way back. */
struct device_gradient {
    struct tensor dy, z;
    struct norm_view norm;
};

static inline struct device_gradient device_gradient_of(const struct convolution *convolution) {
    struct device_gradient gradient = {};
    gradient.dy = *convolution->output_gradient;
    gradient.z = convolution->output;
    gradient.norm = norm_view_of(convolution->norm);
    return gradient;
}

/* dz = grad_y dy + grad_z z + grad_one */
template <class T> struct gradient_rows {
    const T *dy, *z;
    const float *grad_y, *grad_z, *grad_one; /* NULL: no norm, dz = dy */
    int kept, ld, ld_z;
    bool vectors, vectors_z;
    static constexpr int STREAMS = 2, COEFFICIENTS = 3; /* dy and z; the three rows */

    __device__ __forceinline__ gradient_rows(const struct device_gradient &gradient,
                                             const struct segment &segment) {
        dy = segment_data<T>(gradient.dy, segment), z = segment_data<T>(gradient.z, segment);
        kept = tensor_kept(&gradient.z, &segment);
        ld = tensor_ld(&gradient.dy, &segment), ld_z = tensor_ld(&gradient.z, &segment);
        vectors = has_vectors(gradient.dy, ld), vectors_z = has_vectors(gradient.z, ld_z);
        grad_y = grad_z = grad_one = NULL;
        if (gradient.norm.grad_y != NULL) {
            size_t row = gradient.norm.row(segment);
            grad_y = gradient.norm.grad_y + row;
            grad_z = gradient.norm.grad_z + row;
            grad_one = gradient.norm.grad_one + row;
        }
    }
    __device__ __forceinline__ bool absent() const {
        return kept == 0;
    }
    __device__ __forceinline__ void load(float (&dz)[LANES], int row, int column) const {
        load_lanes(dz, dy + (size_t)row * ld + column, kept - column, vectors);
        if (grad_y == NULL)
            return;
        float at[LANES], by_y[LANES], by_z[LANES], one[LANES];
        load_lanes(at, z + (size_t)row * ld_z + column, kept - column, vectors_z);
        load8(by_y, grad_y + column), load8(by_z, grad_z + column), load8(one, grad_one + column);
#pragma unroll
        for (int i = 0; i < LANES; i++)
            dz[i] = column + i < kept ? by_y[i] * dz[i] + (by_z[i] * at[i] + one[i]) : 0.0f;
    }
};

/* Which of the two a kernel is given. */
template <class T, class Source> struct left_of;
template <class T> struct left_of<T, struct device_view> { typedef view_rows<T> rows; };
template <class T> struct left_of<T, struct device_gradient> { typedef gradient_rows<T> rows; };

/* ------------------------------------------------------------------ what becomes of the sums */

/* Two sums per channel that a thread collects over its rows, and their merge in fixed order. */
struct row_sums {
    float first[LANES], second[LANES];
    int rows;

    __device__ __forceinline__ void begin() {
        rows = 0;
#pragma unroll
        for (int i = 0; i < LANES; i++)
            first[i] = second[i] = 0;
    }
};

struct output_target {
    struct tensor z;
    const float *bias; /* or NULL */
    struct partial_sums sums;
};

/* z, rounded, with the moments of what was rounded. */
template <class T> struct output_rows {
    T *z;
    const float *bias;
    int kept, ld;
    bool vectors, summing;
    struct row_sums sums;
    float pivot[LANES]; /* near the first value: squares of differences to it lose no digits */
    static constexpr bool AHEAD = false; /* whether put() reads memory */

    __device__ __forceinline__ output_rows(const struct output_target &target,
                                           const struct segment &segment) {
        z = segment_data<T>(target.z, segment);
        bias = target.bias;
        kept = tensor_kept(&target.z, &segment), ld = tensor_ld(&target.z, &segment);
        vectors = has_vectors(target.z, ld), summing = target.sums.parts > 0;
    }
    __device__ __forceinline__ void begin(int) {
        sums.begin();
    }
    __device__ __forceinline__ void advance(int rows) {
        z += (ptrdiff_t)rows * ld;
    }
    /* Columns count from there. */
    __device__ __forceinline__ void at_column(int column) {
        z += column, kept -= column;
        bias = bias == NULL ? NULL : bias + column;
    }
    __device__ __forceinline__ bool reads() const {
        return false;
    }
    __device__ __forceinline__ bool reads_vectors() const {
        return false;
    }
    __device__ __forceinline__ const T *read_at(int, int) const {
        return NULL;
    }
    /* About a pivot that is there; the spare lanes of a row are ours. */
    __device__ __forceinline__ void put(int row, int column, float (&value)[LANES], const T *,
                                        bool) {
        if (bias != NULL)
#pragma unroll
            for (int i = 0; i < LANES; i++)
                if (column + i < kept)
                    value[i] += bias[column + i];
        store_rounded(z + (size_t)row * ld + column, value, vectors ? LANES : kept - column,
                      vectors);
        if (!summing)
            return;
        sums.rows++;
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            float from_pivot = value[i] - pivot[i];
            sums.first[i] += from_pivot;
            sums.second[i] += from_pivot * from_pivot;
        }
    }
    __device__ __forceinline__ void row(int row, int column, float (&value)[LANES]) {
        if (sums.rows == 0)
#pragma unroll
            for (int i = 0; i < LANES; i++)
                pivot[i] = value[i];
        put(row, column, value, NULL, false);
    }
    /* Sums become mean and squared deviations. */
    __device__ __forceinline__ void end() {
        if (sums.rows == 0)
            return;
        float share = 1.0f / (float)sums.rows;
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            float mean = sums.first[i] * share;
            sums.second[i] = fmaxf(sums.second[i] - sums.first[i] * mean, 0.0f);
            sums.first[i] = pivot[i] + mean;
        }
    }
    /* Chan's merge of (rows, mean, squares) with another. */
    static __device__ __forceinline__ void merge(float &rows, float &mean, float &squares,
                                                 float other_rows, float other_mean,
                                                 float other_squares) {
        float all = rows + other_rows, apart = other_mean - mean, share = other_rows / all;
        mean += apart * share;
        squares += other_squares + apart * apart * rows * share;
        rows = all;
    }
};

struct gradient_target {
    struct view_gradient gradient;
    struct device_view view;
};

static inline struct gradient_target gradient_target_of(const struct view *view) {
    struct gradient_target target = {};
    target.gradient = view_gradient_of(view);
    target.view = device_view_of(view);
    return target;
}

/* The gradient of the view, with the sums of dy and dy (z - mean). */
template <class T> struct view_gradient_rows {
    T *gradient;
    const T *z;
    const float *scale, *shift, *mean; /* NULL: no norm */
    int kept, ld, ld_z;
    enum activation activation;
    bool vectors, vectors_z, through, normed, accumulate, summing;
    struct row_sums sums;
    const float *by, *plus, *middle; /* of the thread's channels: scale, shift, mean */
    static constexpr bool AHEAD = true;

    __device__ __forceinline__ view_gradient_rows(const struct gradient_target &target,
                                                  const struct segment &segment) {
        gradient = segment_data<T>(target.gradient.tensor, segment);
        z = segment_data<T>(target.view.z, segment);
        kept = tensor_kept(&target.view.z, &segment);
        ld = tensor_ld(&target.gradient.tensor, &segment);
        ld_z = tensor_ld(&target.view.z, &segment);
        vectors = has_vectors(target.gradient.tensor, ld);
        vectors_z = has_vectors(target.view.z, ld_z);
        activation = target.view.activation;
        through = target.gradient.through, accumulate = target.gradient.accumulate;
        summing = target.gradient.sums.parts > 0;
        scale = shift = mean = NULL;
        if (target.view.norm.scale != NULL) {
            size_t row = target.view.norm.row(segment);
            scale = target.view.norm.scale + row, shift = target.view.norm.shift + row;
            mean = target.view.norm.mean + row;
        }
        normed = through && scale != NULL;
    }
    __device__ __forceinline__ void begin(int column) {
        sums.begin();
        by = scale + column, plus = shift + column, middle = mean + column;
    }
    __device__ __forceinline__ void advance(int rows) {
        gradient += (ptrdiff_t)rows * ld, z += (ptrdiff_t)rows * ld_z;
    }
    __device__ __forceinline__ void at_column(int column) {
        gradient += column, z += column, kept -= column;
    }
    /* What put() wants of memory: z, or, accumulating (never both), the gradient so far. */
    __device__ __forceinline__ bool reads() const {
        return through || accumulate;
    }
    __device__ __forceinline__ bool reads_vectors() const {
        return through ? vectors_z : vectors;
    }
    __device__ __forceinline__ const T *read_at(int row, int column) const {
        return through ? z + (size_t)row * ld_z + column : gradient + (size_t)row * ld + column;
    }
    /* `read`: LANES elements of read_at(). */
    __device__ __forceinline__ void put(int row, int column, float (&value)[LANES], const T *read,
                                        bool whole) {
        float other[LANES];
        if (reads())
            load_lanes(other, read, whole ? LANES : kept - column, whole || reads_vectors());
        if (through) {
            float y[LANES];
#pragma unroll
            for (int i = 0; i < LANES; i++)
                y[i] = other[i];
            if (normed)
                times_plus8(y, by, plus);
            through_all(activation, y, value);
        }
        if (accumulate)
#pragma unroll
            for (int i = 0; i < LANES; i++)
                value[i] += other[i];
        store_rounded(gradient + (size_t)row * ld + column, value, kept - column, vectors);
        if (!summing)
            return;
        sums.rows++;
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            sums.first[i] += value[i];
            sums.second[i] += value[i] * other[i];
        }
    }
    __device__ __forceinline__ void row(int row, int column, float (&value)[LANES]) {
        put(row, column, value, read_at(row, column), false);
    }
    /* Sums with z become sums with z - mean. */
    __device__ __forceinline__ void end() {
        if (!normed)
            return;
        float mean_of[LANES];
        load8(mean_of, middle);
#pragma unroll
        for (int i = 0; i < LANES; i++)
            sums.second[i] -= sums.first[i] * mean_of[i];
    }
    static __device__ __forceinline__ void merge(float &rows, float &first, float &second,
                                                 float other_rows, float other_first,
                                                 float other_second) {
        rows += other_rows;
        first += other_first;
        second += other_second;
    }
};

template <class T, class Target> struct result_of;
template <class T> struct result_of<T, struct output_target> { typedef output_rows<T> rows; };
template <class T> struct result_of<T, struct gradient_target> {
    typedef view_gradient_rows<T> rows;
};

static __device__ __host__ __forceinline__ const struct partial_sums &
sums_of(const struct output_target &target) {
    return target.sums;
}
static __device__ __host__ __forceinline__ const struct partial_sums &
sums_of(const struct gradient_target &target) {
    return target.gradient.sums;
}

/* Shared memory that merge_sums() takes. */
__host__ __device__ constexpr int merge_floats(int row_lanes, int columns) {
    return row_lanes * (2 * columns + 1);
}

/* Merges what the block's threads collected, thread by thread in the order of their row lanes, and
 * leaves it in the part's row. Called by all threads; `column` is where the thread's lanes begin
 * in the block's columns, row_lane < 0 for a thread without any. */
template <class Result>
static __device__ __forceinline__ void
merge_sums(Result &result, float *room, int row_lanes, int row_lane, int columns, int column,
           const struct partial_sums &sums, const struct segment &segment, int part,
           int first_column) {
    float *rows = room + (size_t)row_lanes * 2 * columns;
    result.end();
    if (row_lane >= 0) {
        float *to = room + (size_t)row_lane * 2 * columns + column;
#pragma unroll
        for (int i = 0; i < LANES; i++)
            to[i] = result.sums.first[i], to[columns + i] = result.sums.second[i];
        if (column == 0)
            rows[row_lane] = (float)result.sums.rows;
    }
    __syncthreads();
    for (int c = threadIdx.x; c < columns && first_column + c < result.kept; c += blockDim.x) {
        float all = 0, first = 0, second = 0;
        for (int lane = 0; lane < row_lanes; lane++)
            if (rows[lane] > 0)
                Result::merge(all, first, second, rows[lane], room[lane * 2 * columns + c],
                              room[(lane * 2 + 1) * columns + c]);
        sums.at(segment, part, 0)[first_column + c] = first;
        sums.at(segment, part, 1)[first_column + c] = second;
    }
}

/* Rows [begin, end) of a part: a run of tiles. */
struct part_rows {
    int begin, end;
};
static __device__ __forceinline__ struct part_rows rows_of_part(const struct tensor &tensor,
                                                                const struct segment &segment,
                                                                int part, int parts, int tile) {
    int rows = segment.images * tensor.height * tensor.width;
    int tiles = (rows + tile - 1) / tile;
    struct part_rows of = {piece_begin(tiles, part, parts) * tile,
                           piece_begin(tiles, part + 1, parts) * tile};
    of.end = of.end < rows ? of.end : rows;
    return of;
}

#endif
