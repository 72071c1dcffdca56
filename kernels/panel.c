#include "panel.h"
#include "vector.h"

#include <string.h>

struct norm_rows norm_rows(const struct batch_norm *norm, const struct segment *segment) {
    if (norm == NULL)
        return (struct norm_rows){0};
    size_t row = (size_t)norm_domain(norm, segment) * norm->stride;
    return (struct norm_rows){.scale = norm->scale + row,
                              .shift = norm->shift + row,
                              .mean = norm->mean + row,
                              .grad_y = norm->grad_y + row,
                              .grad_z = norm->grad_z + row,
                              .grad_one = norm->grad_one + row};
}

/* What the first passes over a panel read comes from memory: row by row it comes in the order in
 * which it lies there, and about twice as fast as channel by channel. */
INLINE void activate_rows(enum activation activation, real *out, int ld_out, const real *z,
                          int ld_z, int rows, int kept, const real *scale, const real *shift,
                          const real *gate) {
    for (int r = 0; r < rows; r++, z += ld_z, out += ld_out) {
        for (int c = 0; c < kept; c += LANES) {
            vec y = vec_load(z + c);
            if (scale != NULL)
                y = y * vec_load(scale + c) + vec_load(shift + c);
            y = activate(activation, y);
            vec_store(out + c, gate != NULL ? y * vec_load(gate + c) : y);
        }
    }
}

INLINE void activate_normed(enum activation activation, real *out, int ld_out, const real *z,
                            int ld_z, int rows, int kept, const struct norm_rows *norm,
                            const real *gate) {
    const real *scale = norm->scale, *shift = norm->shift;
    if (gate != NULL)
        activate_rows(activation, out, ld_out, z, ld_z, rows, kept, scale, shift, gate);
    else if (scale != NULL)
        activate_rows(activation, out, ld_out, z, ld_z, rows, kept, scale, shift, NULL);
    else
        activate_rows(activation, out, ld_out, z, ld_z, rows, kept, NULL, NULL, NULL);
}

void panel_activate(real *out, int ld_out, const real *z, int ld_z, int rows, int kept,
                    const struct norm_rows *norm, enum activation activation, const real *gate) {
    FOR_ACTIVATION(activation, activate_normed(A, out, ld_out, z, ld_z, rows, kept, norm, gate))
}

void panel_gradient(real *out, int ld_out, const real *dy, int ld_dy, const real *z, int ld_z,
                    int rows, int kept, const struct norm_rows *norm) {
    if (norm->grad_y == NULL) {
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < kept; c += LANES)
                vec_store(out + (size_t)r * ld_out + c, vec_load(dy + (size_t)r * ld_dy + c));
        return;
    }
    for (int r = 0; r < rows; r++, out += ld_out, dy += ld_dy, z += ld_z) {
        for (int c = 0; c < kept; c += LANES) {
            vec dz = vec_load(z + c) * vec_load(norm->grad_z + c) + vec_load(norm->grad_one + c);
            vec_store(out + c, vec_load(dy + c) * vec_load(norm->grad_y + c) + dz);
        }
    }
}

void channel_sums_clear(struct channel_sums *sums, int kept) {
    size_t bytes = (size_t)round_up(kept, CHANNEL_ALIGN) * sizeof(double);
    memset(sums->first, 0, bytes);
    memset(sums->second, 0, bytes);
}

typedef double vec_double
    __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

INLINE void add_lanes(double *into, vec value) {
    *(vec_double *)into += __builtin_convertvector(value, vec_double);
}

/* One sum would wait for its own last addition; so many independent ones do not. */
enum { CHAINS = 4 };

INLINE vec add_chains(const vec *sum) {
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* One vector of channels of what panel_through_activation() does. */
struct gradient_column {
    real *dpre;
    const real *da, *z;
    int ld_dpre, ld_da, ld_z;
    vec scale, shift, mean;
};

INLINE void through_row(enum activation activation, const struct gradient_column *column, int r,
                        int store, vec *first, vec *second) {
    vec z = vec_load(column->z + (size_t)r * column->ld_z);
    vec gradient = activate_backward(activation, z * column->scale + column->shift,
                                     vec_load(column->da + (size_t)r * column->ld_da));
    if (store)
        vec_store(column->dpre + (size_t)r * column->ld_dpre, gradient);
    *first += gradient;
    *second += gradient * (z - column->mean);
}

INLINE void through_column(enum activation activation, const struct gradient_column *column,
                           int rows, int store, vec *first, vec *second) {
    vec firsts[CHAINS] = {{0}}, seconds[CHAINS] = {{0}};
    int r = 0;
    for (; r + CHAINS <= rows; r += CHAINS)
        for (int i = 0; i < CHAINS; i++)
            through_row(activation, column, r + i, store, &firsts[i], &seconds[i]);
    for (; r < rows; r++)
        through_row(activation, column, r, store, &firsts[0], &seconds[0]);
    *first = add_chains(firsts);
    *second = add_chains(seconds);
}

INLINE void through_columns(enum activation activation, real *dpre, int ld_dpre, const real *da,
                            int ld_da, const real *z, int ld_z, int rows, int kept,
                            const struct norm_rows *norm, struct channel_sums *sums) {
    for (int c = 0; c < kept; c += LANES) {
        struct gradient_column column = {
            .dpre = dpre ? dpre + c : NULL,
            .da = da + c,
            .z = z + c,
            .ld_dpre = ld_dpre,
            .ld_da = ld_da,
            .ld_z = ld_z,
            .scale = norm->scale ? vec_load(norm->scale + c) : vec_splat(1),
            .shift = norm->scale ? vec_load(norm->shift + c) : vec_splat(0),
            .mean = norm->scale ? vec_load(norm->mean + c) : vec_splat(0)};
        vec first, second;
        if (dpre)
            through_column(activation, &column, rows, 1, &first, &second);
        else
            through_column(activation, &column, rows, 0, &first, &second);
        if (sums) {
            add_lanes(sums->first + c, first);
            add_lanes(sums->second + c, second);
        }
    }
}

void panel_through_activation(real *dpre, int ld_dpre, const real *da, int ld_da, const real *z,
                              int ld_z, int rows, int kept, const struct norm_rows *norm,
                              enum activation activation, struct channel_sums *sums){
    FOR_ACTIVATION(activation,
                   through_columns(A, dpre, ld_dpre, da, ld_da, z, ld_z, rows, kept, norm, sums))}

INLINE void add_moments(vec deviation, vec *first, vec *second) {
    *first += deviation;
    *second += deviation * deviation;
}

void panel_moments(const real *z, int ld_z, int rows, int kept, struct channel_sums *sums) {
    for (int c = 0; c < kept; c += LANES) {
        vec origin = vec_load(sums->origin + c);
        vec first[CHAINS] = {{0}}, second[CHAINS] = {{0}};
        int r = 0;
        for (; r + CHAINS <= rows; r += CHAINS) {
            for (int i = 0; i < CHAINS; i++)
                add_moments(vec_load(z + (size_t)(r + i) * ld_z + c) - origin, &first[i],
                            &second[i]);
        }
        for (; r < rows; r++)
            add_moments(vec_load(z + (size_t)r * ld_z + c) - origin, &first[0], &second[0]);
        add_lanes(sums->first + c, add_chains(first));
        add_lanes(sums->second + c, add_chains(second));
    }
}

static double *partial_row(const struct batch_norm *norm, const struct segment *segment,
                           int which) {
    return norm->partial + ((size_t)segment->index * 2 + which) * norm->stride;
}

void partial_from_moments(const struct batch_norm *norm, const struct segment *segment,
                          const struct channel_sums *sums, int kept, double rows) {
    double *mean = partial_row(norm, segment, 0), *squares = partial_row(norm, segment, 1);
    for (int c = 0; c < kept; c++) {
        mean[c] = (double)sums->origin[c] + sums->first[c] / rows;
        squares[c] = sums->second[c] - sums->first[c] * sums->first[c] / rows;
    }
    norm->row_count[segment->index] = rows;
}

void partial_from_gradient_sums(const struct batch_norm *norm, const struct segment *segment,
                                const struct channel_sums *sums, int kept, double rows) {
    size_t bytes = (size_t)kept * sizeof(double);
    memcpy(partial_row(norm, segment, 0), sums->first, bytes);
    memcpy(partial_row(norm, segment, 1), sums->second, bytes);
    norm->row_count[segment->index] = rows;
}
