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

/* The loops below are written once per activation: the switch is outside, where it costs nothing.
 */
#define FOR_ACTIVATION(activation, statement)                                                      \
    switch (activation) {                                                                          \
    case ACTIVATION_NONE: {                                                                        \
        const enum activation A = ACTIVATION_NONE;                                                 \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_RELU: {                                                                        \
        const enum activation A = ACTIVATION_RELU;                                                 \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_RELU6: {                                                                       \
        const enum activation A = ACTIVATION_RELU6;                                                \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_HARD_SWISH: {                                                                  \
        const enum activation A = ACTIVATION_HARD_SWISH;                                           \
        statement;                                                                                 \
    } break;                                                                                       \
    case ACTIVATION_HARD_SIGMOID: {                                                                \
        const enum activation A = ACTIVATION_HARD_SIGMOID;                                         \
        statement;                                                                                 \
    } break;                                                                                       \
    }

INLINE void activate_rows(enum activation activation, real *out, int ld_out, const real *z,
                          int ld_z, int rows, int kept, const struct norm_rows *norm,
                          const real *gate) {
    for (int c = 0; c < kept; c += LANES) {
        vec scale = norm->scale ? vec_load(norm->scale + c) : vec_splat(1);
        vec shift = norm->scale ? vec_load(norm->shift + c) : vec_splat(0);
        vec factor = gate ? vec_load(gate + c) : vec_splat(1);
        for (int r = 0; r < rows; r++) {
            vec y = vec_load(z + (size_t)r * ld_z + c) * scale + shift;
            vec_store(out + (size_t)r * ld_out + c, activate(activation, y) * factor);
        }
    }
}

void panel_activate(real *out, int ld_out, const real *z, int ld_z, int rows, int kept,
                    const struct norm_rows *norm, enum activation activation, const real *gate) {
    FOR_ACTIVATION(activation, activate_rows(A, out, ld_out, z, ld_z, rows, kept, norm, gate))
}

void panel_gradient(real *out, int ld_out, const real *dy, int ld_dy, const real *z, int ld_z,
                    int rows, int kept, const struct norm_rows *norm) {
    for (int c = 0; c < kept; c += LANES) {
        if (norm->grad_y == NULL) {
            for (int r = 0; r < rows; r++)
                vec_store(out + (size_t)r * ld_out + c, vec_load(dy + (size_t)r * ld_dy + c));
            continue;
        }
        vec grad_y = vec_load(norm->grad_y + c), grad_z = vec_load(norm->grad_z + c);
        vec grad_one = vec_load(norm->grad_one + c);
        for (int r = 0; r < rows; r++) {
            vec dz = vec_load(dy + (size_t)r * ld_dy + c) * grad_y +
                     (vec_load(z + (size_t)r * ld_z + c) * grad_z + grad_one);
            vec_store(out + (size_t)r * ld_out + c, dz);
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

INLINE void through_rows(enum activation activation, real *dpre, int ld_dpre, const real *da,
                         int ld_da, const real *z, int ld_z, int rows, int kept,
                         const struct norm_rows *norm, struct channel_sums *sums) {
    for (int c = 0; c < kept; c += LANES) {
        vec scale = norm->scale ? vec_load(norm->scale + c) : vec_splat(1);
        vec shift = norm->scale ? vec_load(norm->shift + c) : vec_splat(0);
        vec mean = norm->scale ? vec_load(norm->mean + c) : vec_splat(0);
        vec first = vec_splat(0), second = vec_splat(0);
        for (int r = 0; r < rows; r++) {
            vec raw = vec_load(z + (size_t)r * ld_z + c);
            vec gradient = activate_backward(activation, raw * scale + shift,
                                             vec_load(da + (size_t)r * ld_da + c));
            vec_store(dpre + (size_t)r * ld_dpre + c, gradient);
            first += gradient;
            second += gradient * (raw - mean);
        }
        if (sums) {
            add_lanes(sums->first + c, first);
            add_lanes(sums->second + c, second);
        }
    }
}

void panel_through_activation(real *dpre, int ld_dpre, const real *da, int ld_da, const real *z,
                              int ld_z, int rows, int kept, const struct norm_rows *norm,
                              enum activation activation, struct channel_sums *sums) {
    FOR_ACTIVATION(activation,
                   through_rows(A, dpre, ld_dpre, da, ld_da, z, ld_z, rows, kept, norm, sums))
}

/* One sum would wait for its own last addition; so many independent ones do not. */
enum { CHAINS = 4 };

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
        add_lanes(sums->first + c, (first[0] + first[1]) + (first[2] + first[3]));
        add_lanes(sums->second + c, (second[0] + second[1]) + (second[2] + second[3]));
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
