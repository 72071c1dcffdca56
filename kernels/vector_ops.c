/* Elementwise work on the flat vectors of parameters. */
#include "cpu.h"

#include <math.h>
#include <string.h>

enum status vector_add(real *into, const real *const *from, int terms, size_t count) {
    memcpy(into, from[0], count * sizeof *into);
    for (int term = 1; term < terms; term++)
        for (size_t i = 0; i < count; i++)
            into[i] += from[term][i];
    return STATUS_OK;
}

static real decay_of(const struct update *update, size_t i) {
    return update->decays == NULL || update->decays[i] ? update->decay : 0;
}

static void sgd(const struct update *update, size_t count, real *weight, const real *gradient,
                real *velocity) {
    for (size_t i = 0; i < count; i++) {
        real g = gradient[i] + decay_of(update, i) * weight[i];
        velocity[i] = update->momentum * velocity[i] + g;
        weight[i] -=
            update->rate * (update->nesterov ? g + update->momentum * velocity[i] : velocity[i]);
    }
}

static void rmsprop(const struct update *update, size_t count, real *weight, const real *gradient,
                    real *velocity, real *square) {
    for (size_t i = 0; i < count; i++) {
        real g = gradient[i] + decay_of(update, i) * weight[i];
        square[i] = update->alpha * square[i] + (1 - update->alpha) * g * g;
        real root = (real)sqrt((double)square[i]);
        velocity[i] = update->momentum * velocity[i] + g / (root + update->epsilon);
        weight[i] -= update->rate * velocity[i];
    }
}

enum status vector_update(const struct update *update, size_t count, real *weight,
                          const real *gradient, real *velocity, real *square) {
    if (update->kind == OPTIMISER_SGD)
        sgd(update, count, weight, gradient, velocity);
    else
        rmsprop(update, count, weight, gradient, velocity, square);
    return STATUS_OK;
}

enum status vector_average(real *ema, const real *weight, real keep, size_t count) {
    for (size_t i = 0; i < count; i++)
        ema[i] = keep * ema[i] + (1 - keep) * weight[i];
    return STATUS_OK;
}
