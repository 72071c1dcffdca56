#include "training/weights_file.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name_tensors(const struct parameters *parameters, const real *values,
                         struct named_tensor *tensors) {
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        tensors[i] = (struct named_tensor){.name = parameter->name,
                                           .type = TENSOR_F32,
                                           .rank = parameter->rank,
                                           .data = values + parameter->offset};
        for (int d = 0; d < parameter->rank; d++)
            tensors[i].shape[d] = parameter->shape[d];
    }
}

enum status weights_write(const char *path, const struct parameters *parameters,
                          const real *weights, const struct parameters *statistics,
                          const real *statistic_values, const struct metadata *metadata,
                          int metadata_count) {
    int count = parameters->count + (statistics ? statistics->count : 0);
    struct named_tensor *tensors;
    TRY(allocate(&tensors, (size_t)count, sizeof *tensors, "the list of weights"));
    name_tensors(parameters, weights, tensors);
    if (statistics)
        name_tensors(statistics, statistic_values, tensors + parameters->count);
    enum status status = safetensors_write(path, tensors, count, metadata, metadata_count);
    free(tensors);
    return status;
}

static enum status copy_tensors(const struct safetensors *file, const char *path,
                                const struct parameters *parameters, real *values) {
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        int64_t shape[4] = {0};
        for (int d = 0; d < parameter->rank; d++)
            shape[d] = parameter->shape[d];
        TRY(safetensors_copy(file, path, parameter->name, TENSOR_F32, parameter->rank, shape,
                             values + parameter->offset));
    }
    return STATUS_OK;
}

enum status weights_read(const char *path, const struct parameters *parameters, real *weights,
                         const struct parameters *statistics, real *statistic_values) {
    struct safetensors file;
    TRY(safetensors_read(&file, path));
    enum status status = copy_tensors(&file, path, parameters, weights);
    if (status == STATUS_OK && statistics)
        status = copy_tensors(&file, path, statistics, statistic_values);
    safetensors_release(&file);
    return status;
}

enum status weights_check_format(const struct safetensors *file, const char *path,
                                 const char *format) {
    const char *its = safetensors_metadata(file, "format");
    if (its != NULL && strcmp(its, format) == 0)
        return STATUS_OK;
    return fail(STATUS_USAGE,
                "%s has the format \"%.64s\", but this version of taper reads \"%s\"; use the "
                "version that wrote it, or begin anew in another folder",
                path, its != NULL ? its : "", format);
}

enum status weights_hash(const char *path, const char *format, char *hash, size_t size) {
    hash[0] = '\0';
    if (!file_exists(path))
        return STATUS_OK;
    struct safetensors file;
    TRY(safetensors_read(&file, path));
    enum status status = weights_check_format(&file, path, format);
    const char *its = safetensors_metadata(&file, "config_hash");
    if (status == STATUS_OK && its != NULL)
        snprintf(hash, size, "%s", its);
    safetensors_release(&file);
    return status;
}

enum status weights_metadata(const char *path, const char *key, char *value, size_t size) {
    value[0] = '\0';
    if (!file_exists(path))
        return STATUS_OK;
    struct safetensors file;
    TRY(safetensors_read(&file, path));
    const char *found = safetensors_metadata(&file, key);
    if (found)
        snprintf(value, size, "%s", found);
    safetensors_release(&file);
    return STATUS_OK;
}
