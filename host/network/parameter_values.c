/* The numbers behind a list of parameters: first values, and a sub-network's share of them. */
#include "network/parameters.h"
#include "support/random.h"

#include <math.h>
#include <string.h>

void parameters_initialise(const struct parameters *parameters, uint64_t seed, real *values) {
    memset(values, 0, parameters->size * sizeof *values);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        real *value = values + parameter->offset;
        if (parameter->role == ROLE_NORM_WEIGHT || parameter->role == ROLE_RUNNING_VARIANCE)
            for (size_t j = 0; j < parameter->count; j++)
                value[j] = 1;
        if (parameter->role != ROLE_WEIGHT)
            continue;
        bool linear = parameter->rank == 2;
        double deviation = sqrt((linear ? 1.0 : 2.0) / parameter->fan_in);
        struct random_sequence sequence = random_sequence(seed, RANDOM_INITIALISE, i, 0);
        for (size_t j = 0; j < parameter->count; j++)
            value[j] = (real)(deviation * random_normal(&sequence));
    }
}

/* Sizes as [out][in][rows][columns], missing dimensions being 1. */
struct sizes {
    size_t size[4];
};

static struct sizes sizes_of(const struct parameter *parameter) {
    struct sizes sizes = {{1, 1, 1, 1}};
    for (int i = 0; i < parameter->rank; i++)
        sizes.size[i] = parameter->shape[i];
    return sizes;
}

static void copy_kept(const struct parameter *from, const real *source, const struct parameter *to,
                      real *target) {
    const struct sizes all = sizes_of(from), kept = sizes_of(to);
    size_t first_row = (all.size[2] - kept.size[2]) / 2;
    size_t first_column = (all.size[3] - kept.size[3]) / 2;
    for (size_t out = 0; out < kept.size[0]; out++)
        for (size_t in = 0; in < kept.size[1]; in++)
            for (size_t row = 0; row < kept.size[2]; row++) {
                size_t line = (out * all.size[1] + in) * all.size[2] + first_row + row;
                memcpy(target, source + line * all.size[3] + first_column,
                       kept.size[3] * sizeof *target);
                target += kept.size[3];
            }
}

enum status parameters_extract(const struct parameters *from, const real *values,
                               const struct parameters *to, real *extracted) {
    memset(extracted, 0, to->size * sizeof *extracted);
    for (int i = 0; i < to->count; i++) {
        const struct parameter *target = &to->list[i];
        const struct parameter *source =
            parameters_find(from, target->layer, target->part, target->role);
        bool fits = source != NULL;
        for (int j = 0; fits && j < 4; j++)
            fits = sizes_of(target).size[j] <= sizes_of(source).size[j];
        if (!fits)
            return fail(STATUS_FAILED, "parameter '%s' is missing or smaller in the larger network",
                        target->name);
        copy_kept(source, values + source->offset, target, extracted + target->offset);
    }
    return STATUS_OK;
}
