#include "data/resample.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Old pixels first[i] .. first[i] + taps - 1 with weights[i][] make new pixel i. All have the same
 * number of taps, the further ones with weight 0: no branch depends on the pixel. */
struct filter {
    int count, taps;
    int *first;
    float *weights;
};

typedef float four __attribute__((vector_size(16)));
typedef float four_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
enum { LANES = 4 }; /* the channels of a pixel are one vector, with lanes that do not count */

double resample_reach(double length, int out) {
    return fmax(1, length / out);
}

/* ----------------------------------------------------------------------------------- weights */

/* An axis of a window: `old` pixels, of which `length` from `start` on become `count`. */
struct axis {
    int old, count;
    double start, length, reach;
};

static double centre_of(const struct axis *axis, int i) {
    return axis->start + (i + 0.5) * axis->length / axis->count;
}

/* Centres of old pixels within reach; at least one. */
static void range_of(const struct axis *axis, int i, int *first, int *end) {
    double centre = centre_of(axis, i);
    *first = (int)(centre - axis->reach + 0.5);
    *end = (int)(centre + axis->reach + 0.5);
    if (*first < 0)
        *first = 0;
    if (*end > axis->old)
        *end = axis->old;
}

static int most_taps(const struct axis *axis) {
    int most = 1;
    for (int i = 0; i < axis->count; i++) {
        int first, end;
        range_of(axis, i, &first, &end);
        most = end - first > most ? end - first : most;
    }
    return most;
}

/* The weights of a pixel add up to `unit`. */
static void fill(struct filter *filter, const struct axis *axis, double unit) {
    double slope = 1 / axis->reach;
    for (int i = 0; i < filter->count; i++) {
        int first, end;
        double sum = 0, centre = centre_of(axis, i);
        float *weights = filter->weights + (size_t)i * filter->taps;
        range_of(axis, i, &first, &end);
        if (first > axis->old - filter->taps) /* no tap beyond the window */
            first = axis->old - filter->taps;
        for (int t = 0; t < filter->taps; t++) {
            double weight = 1 - fabs(first + t + 0.5 - centre) * slope;
            weights[t] = weight > 0 ? (float)weight : 0;
            sum += (double)weights[t];
        }
        float scale = (float)(unit / sum);
        for (int t = 0; t < filter->taps; t++)
            weights[t] *= scale;
        filter->first[i] = first;
    }
}

static void mirror_filter(struct filter *filter) {
    for (int left = 0, right = filter->count - 1; left < right; left++, right--) {
        float *a = filter->weights + (size_t)left * filter->taps;
        float *b = filter->weights + (size_t)right * filter->taps;
        int first = filter->first[left];
        filter->first[left] = filter->first[right];
        filter->first[right] = first;
        for (int t = 0; t < filter->taps; t++) {
            float weight = a[t];
            a[t] = b[t];
            b[t] = weight;
        }
    }
}

/* -------------------------------------------------------------------------------------- rows */

/* Weighted sums of old rows are made in 16 bits, sixteen values to a vector of AVX2: values have
 * FRACTION more bits than a byte, and weights are 65536ths. What a product drops, 1/2 of the last
 * bit on average, is given back. */
enum { FRACTION = 7, MOST_AT_ONCE = 4 };

/* sums[i] (+)= weighted sum of `taps` rows of bytes; taps and add are constants where it is called,
 * so that the compiler makes vectors of i. */
static inline __attribute__((always_inline)) void weigh(const uint8_t *restrict rows, size_t stride,
                                                        const uint16_t *weights, const int taps,
                                                        const bool add, int count,
                                                        float *restrict sums) {
    for (int i = 0; i < count; i++) {
        uint16_t sum = (uint16_t)(taps / 2);
        for (int t = 0; t < taps; t++) {
            uint16_t value = (uint16_t)(rows[(size_t)t * stride + (size_t)i] << FRACTION);
            sum = (uint16_t)(sum + (((uint32_t)value * weights[t]) >> 16));
        }
        sums[i] = add ? sums[i] + (float)sum : (float)sum;
    }
}

static inline __attribute__((always_inline)) void weigh_some(const uint8_t *rows, size_t stride,
                                                             const uint16_t *weights, int taps,
                                                             const bool add, int count,
                                                             float *sums) {
    switch (taps) {
    case 1:
        weigh(rows, stride, weights, 1, add, count, sums);
        break;
    case 2:
        weigh(rows, stride, weights, 2, add, count, sums);
        break;
    case 3:
        weigh(rows, stride, weights, 3, add, count, sums);
        break;
    default:
        weigh(rows, stride, weights, 4, add, count, sums);
    }
}

static void weigh_rows(const uint8_t *rows, size_t stride, const float *weights, int taps,
                       int count, float *sums) {
    for (int t = 0; t < taps; t += MOST_AT_ONCE) {
        int some = taps - t < MOST_AT_ONCE ? taps - t : MOST_AT_ONCE;
        uint16_t whole[MOST_AT_ONCE];
        for (int i = 0; i < some; i++)
            whole[i] = (uint16_t)fminf(65535, rintf(65536 * weights[t + i]));
        if (t == 0)
            weigh_some(rows, stride, whole, some, false, count, sums);
        else
            weigh_some(rows + (size_t)t * stride, stride, whole, some, true, count, sums);
    }
}

/* ----------------------------------------------------------------------------------- columns */

/* Several rows at once share what is computed for a column. */
enum { BLOCK = 4 };

struct block {
    float *sums, *rows; /* [BLOCK] weighted sums of old rows; new rows */
    size_t old, new;    /* floats from one to the next */
};

static inline __attribute__((always_inline)) void weigh_pixels(const struct block *block,
                                                               const struct filter *filter,
                                                               const int taps, const int channels) {
    const float *weights = filter->weights, *old[BLOCK];
    const int *first = filter->first, count = filter->count;
    float *new[BLOCK];
    for (int y = 0; y < BLOCK; y++) {
        old[y] = block->sums + y * block->old;
        new[y] = block->rows + y * block->new;
    }
    for (ptrdiff_t x = 0; x < count; x++, weights += taps) {
        ptrdiff_t at = (ptrdiff_t)first[x] * channels;
        four sums[BLOCK];
        for (int y = 0; y < BLOCK; y++)
            sums[y] = (four){0.5F, 0.5F, 0.5F, 0.5F}; /* rounds */
        for (int t = 0; t < taps; t++)
            for (int y = 0; y < BLOCK; y++)
                sums[y] += weights[t] * *(const four_unaligned *)(old[y] + at + t * channels);
        for (int y = 0; y < BLOCK; y++) /* the next pixel covers what is too much */
            *(four_unaligned *)(new[y] + x *channels) = sums[y];
    }
}

static void weigh_columns(const struct block *block, const struct filter *filter, int channels) {
    if (channels == 3 && filter->taps == 2)
        weigh_pixels(block, filter, 2, 3);
    else if (channels == 3 && filter->taps == 3)
        weigh_pixels(block, filter, 3, 3);
    else if (channels == 3 && filter->taps == 4)
        weigh_pixels(block, filter, 4, 3);
    else
        weigh_pixels(block, filter, filter->taps, channels);
}

/* ------------------------------------------------------------------------------------ memory */

void resampler_release(struct resampler *resampler) {
    free(resampler->memory);
    *resampler = (struct resampler){0};
}

static enum status make_room(struct resampler *resampler, size_t room) {
    if (room <= resampler->room)
        return STATUS_OK;
    resampler_release(resampler);
    TRY(allocate(&resampler->memory, room, sizeof *resampler->memory, "resizing a picture"));
    resampler->room = room;
    return STATUS_OK;
}

static float *fill_filter(struct filter *filter, const struct axis *axis, double unit,
                          float *memory) {
    filter->first = (int *)memory; /* as large as a float */
    filter->weights = memory + filter->count;
    fill(filter, axis, unit);
    return filter->weights + (size_t)filter->count * filter->taps;
}

static struct axis axis_of(int old, double start, double length, int count) {
    return (struct axis){old, count, start, length, resample_reach(length, count)};
}

static size_t room_of(const struct filter *filter) {
    return (size_t)filter->count * (1 + (size_t)filter->taps);
}

static void put_row(const float *restrict row, int count, uint8_t *restrict out) {
    for (int i = 0; i < count; i++)
        out[i] = (uint8_t)(int)row[i];
}

static void make_block(const struct picture_window *window, const struct filter *rows,
                       const struct filter *columns, const struct block *block, int first,
                       int count, uint8_t *out) {
    int old = window->width * window->channels, new = columns->count * window->channels;
    for (int y = 0; y < count; y++)
        weigh_rows(window->pixels + (size_t)rows->first[first + y] * window->stride, window->stride,
                   rows->weights + (size_t)(first + y) * rows->taps, rows->taps, old,
                   block->sums + y * block->old);
    weigh_columns(block, columns, window->channels);
    for (int y = 0; y < count; y++)
        put_row(block->rows + y * block->new, new, out + (size_t)y * (size_t) new);
}

enum status resample(struct resampler *resampler, const struct picture_window *window, int height,
                     int width, bool mirror, uint8_t *out) {
    const struct picture_box *box = &window->box;
    struct axis high = axis_of(window->height, box->top, box->height, height);
    struct axis wide = axis_of(window->width, box->left, box->width, width);
    struct filter rows = {.count = height, .taps = most_taps(&high)};
    struct filter columns = {.count = width, .taps = most_taps(&wide)};
    size_t line = (size_t)width * (size_t)window->channels;
    struct block block = {.old = (size_t)(window->width * window->channels + LANES),
                          .new = line + LANES};
    TRY(make_room(resampler, room_of(&rows) + room_of(&columns) + BLOCK * (block.old + block.new)));
    block.sums = fill_filter(&rows, &high, 1, resampler->memory);
    block.sums = fill_filter(&columns, &wide, 1.0 / (1 << FRACTION), block.sums);
    block.rows = block.sums + BLOCK * block.old;
    if (mirror)
        mirror_filter(&columns);
    for (int y = 0; y < height; y += BLOCK)
        make_block(window, &rows, &columns, &block, y, height - y < BLOCK ? height - y : BLOCK,
                   out + (size_t)y * line);
    return STATUS_OK;
}
