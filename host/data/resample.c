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
    *first = (int)fmax(0, floor(centre - axis->reach + 0.5));
    *end = (int)fmin(axis->old, floor(centre + axis->reach + 0.5));
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

static void fill(struct filter *filter, const struct axis *axis) {
    for (int i = 0; i < filter->count; i++) {
        int first, end;
        double sum = 0, centre = centre_of(axis, i);
        float *weights = filter->weights + (size_t)i * filter->taps;
        range_of(axis, i, &first, &end);
        if (first > axis->old - filter->taps) /* no tap beyond the window */
            first = axis->old - filter->taps;
        for (int t = 0; t < filter->taps; t++)
            sum += fmax(0, 1 - fabs(first + t + 0.5 - centre) / axis->reach);
        for (int t = 0; t < filter->taps; t++)
            weights[t] = (float)(fmax(0, 1 - fabs(first + t + 0.5 - centre) / axis->reach) / sum);
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

/* sums[i] (+)= weighted sum of `taps` rows of bytes; taps and add are constants where it is called,
 * so that the compiler makes vectors of i. */
static inline __attribute__((always_inline)) void weigh(const uint8_t *restrict rows, size_t stride,
                                                        const float *weights, const int taps,
                                                        const bool add, int count,
                                                        float *restrict sums) {
    for (int i = 0; i < count; i++) {
        float sum = add ? sums[i] : 0;
        for (int t = 0; t < taps; t++)
            sum += weights[t] * (float)rows[(size_t)t * stride + (size_t)i];
        sums[i] = sum;
    }
}

static void weigh_rows(const uint8_t *rows, size_t stride, const float *weights, int taps,
                       int count, float *sums) {
    switch (taps) {
    case 1:
        weigh(rows, stride, weights, 1, false, count, sums);
        return;
    case 2:
        weigh(rows, stride, weights, 2, false, count, sums);
        return;
    case 3:
        weigh(rows, stride, weights, 3, false, count, sums);
        return;
    }
    weigh(rows, stride, weights, 4, false, count, sums);
    for (int t = 4; t < taps; t++)
        weigh(rows + (size_t)t * stride, stride, weights + t, 1, true, count, sums);
}

/* ----------------------------------------------------------------------------------- columns */

static inline __attribute__((always_inline)) void weigh_pixels(const float *sums,
                                                               const struct filter *filter,
                                                               const int taps, const int channels,
                                                               float *row) {
    const float *weights = filter->weights;
    for (int x = 0; x < filter->count; x++, weights += taps) {
        const float *at = sums + filter->first[x] * channels;
        four sum = {0.5F, 0.5F, 0.5F, 0.5F}; /* rounds */
        for (int t = 0; t < taps; t++)
            sum += weights[t] * *(const four_unaligned *)(at + t * channels);
        *(four_unaligned *)(row + x * channels) = sum; /* the next pixel covers what is too much */
    }
}

static void weigh_columns(const float *sums, const struct filter *filter, int channels,
                          float *row) {
    if (channels == 3 && filter->taps == 2)
        weigh_pixels(sums, filter, 2, 3, row);
    else if (channels == 3 && filter->taps == 3)
        weigh_pixels(sums, filter, 3, 3, row);
    else if (channels == 3 && filter->taps == 4)
        weigh_pixels(sums, filter, 4, 3, row);
    else
        weigh_pixels(sums, filter, filter->taps, channels, row);
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

static float *fill_filter(struct filter *filter, const struct axis *axis, float *memory) {
    filter->first = (int *)memory; /* as large as a float */
    filter->weights = memory + filter->count;
    fill(filter, axis);
    return filter->weights + (size_t)filter->count * filter->taps;
}

static struct axis axis_of(int old, double start, double length, int count) {
    return (struct axis){old, count, start, length, resample_reach(length, count)};
}

static size_t room_of(const struct filter *filter) {
    return (size_t)filter->count * (1 + (size_t)filter->taps);
}

enum status resample(struct resampler *resampler, const struct picture_window *window, int height,
                     int width, bool mirror, uint8_t *out) {
    const struct picture_box *box = &window->box;
    struct axis high = axis_of(window->height, box->top, box->height, height);
    struct axis wide = axis_of(window->width, box->left, box->width, width);
    struct filter rows = {.count = height, .taps = most_taps(&high)};
    struct filter columns = {.count = width, .taps = most_taps(&wide)};
    int old = window->width * window->channels, new = width * window->channels;
    TRY(make_room(resampler,
                  room_of(&rows) + room_of(&columns) + (size_t)old + (size_t) new + 2 * LANES));
    float *sums = fill_filter(&columns, &wide, fill_filter(&rows, &high, resampler->memory));
    float *row = sums + old + LANES;
    if (mirror)
        mirror_filter(&columns);
    for (int y = 0; y < height; y++, out += new) {
        weigh_rows(window->pixels + (size_t)rows.first[y] * window->stride, window->stride,
                   rows.weights + (size_t)y * rows.taps, rows.taps, old, sums);
        weigh_columns(sums, &columns, window->channels, row);
        for (int i = 0; i < new; i++)
            out[i] = (uint8_t)row[i];
    }
    return STATUS_OK;
}
