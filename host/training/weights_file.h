/* Results as safetensors: every parameter (and statistic) under its name and in its shape. */
#ifndef TAPER_WEIGHTS_FILE_H
#define TAPER_WEIGHTS_FILE_H

#include "network/parameters.h"
#include "support/safetensors.h"

/* statistics NULL: weights only. Else every batch-norm also says how many batches made its running
 * statistics, NORM.num_batches_tracked: PyTorch keeps that beside them. */
enum status weights_write(const char *path, const struct parameters *parameters,
                          const real *weights, const struct parameters *statistics,
                          const real *statistic_values, int64_t batches,
                          const struct metadata *metadata, int metadata_count);

/* Fills the flat vectors; a tensor that is missing or of another shape is an error. */
enum status weights_read(const char *path, const struct parameters *parameters, real *weights,
                         const struct parameters *statistics, real *statistic_values);

/* Fails unless the file has this format. */
enum status weights_check_format(const struct safetensors *file, const char *path,
                                 const char *format);

/* Metadata `key` of a file, "" if it has none or there is no file. One of another format than
 * `format` (NULL: any will do) is of another version, or no such result at all: an error. */
enum status weights_metadata(const char *path, const char *format, const char *key, char *value,
                             size_t size);

#endif
