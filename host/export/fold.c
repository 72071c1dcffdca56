#include "export/export.h"

#include <math.h>
#include <string.h>

void fold_norms(const struct exported *exported, real *folded) {
    const struct parameters *parameters = exported->parameters, *statistics = exported->statistics;
    memcpy(folded, exported->weights, parameters->size * sizeof *folded);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *scale = &parameters->list[i];
        if (scale->role != ROLE_NORM_WEIGHT)
            continue;
        int layer = scale->layer;
        enum parameter_part part = scale->part;
        const struct parameter *weight = parameters_find(parameters, layer, part, ROLE_WEIGHT);
        const struct parameter *bias = parameters_find(parameters, layer, part, ROLE_NORM_BIAS);
        const real *mean = exported->statistic_values +
                           parameters_find(statistics, layer, part, ROLE_RUNNING_MEAN)->offset;
        const real *variance =
            exported->statistic_values +
            parameters_find(statistics, layer, part, ROLE_RUNNING_VARIANCE)->offset;
        size_t inputs = weight->count / scale->count;
        for (size_t channel = 0; channel < scale->count; channel++) {
            double factor = exported->weights[scale->offset + channel] /
                            sqrt((double)variance[channel] + exported->epsilon);
            real *row = folded + weight->offset + channel * inputs;
            for (size_t j = 0; j < inputs; j++)
                row[j] = (real)(row[j] * factor);
            folded[bias->offset + channel] =
                (real)(exported->weights[bias->offset + channel] - mean[channel] * factor);
        }
    }
}
