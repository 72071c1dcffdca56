#include "network/fold.h"

#include <math.h>
#include <string.h>

void fold_norms(const struct parameters *parameters, const real *weights,
                const struct parameters *statistics, const real *statistic_values, double epsilon,
                real *folded) {
    memcpy(folded, weights, parameters->size * sizeof *folded);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *scale = &parameters->list[i];
        if (scale->role != ROLE_NORM_WEIGHT)
            continue;
        int layer = scale->layer;
        enum parameter_part part = scale->part;
        const struct parameter *weight = parameters_find(parameters, layer, part, ROLE_WEIGHT);
        const struct parameter *bias = parameters_find(parameters, layer, part, ROLE_NORM_BIAS);
        const real *mean =
            statistic_values + parameters_find(statistics, layer, part, ROLE_RUNNING_MEAN)->offset;
        const real *variance =
            statistic_values +
            parameters_find(statistics, layer, part, ROLE_RUNNING_VARIANCE)->offset;
        size_t inputs = weight->count / scale->count;
        for (size_t channel = 0; channel < scale->count; channel++) {
            double factor =
                weights[scale->offset + channel] / sqrt((double)variance[channel] + epsilon);
            real *row = folded + weight->offset + channel * inputs;
            for (size_t j = 0; j < inputs; j++)
                row[j] = (real)(row[j] * factor);
            folded[bias->offset + channel] =
                (real)(weights[bias->offset + channel] - mean[channel] * factor);
        }
    }
}
