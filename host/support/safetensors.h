/* safetensors files: weights and states. Format: u64 little-endian header length, JSON header
 * {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {string: string}}, data.
 */
#ifndef TAPER_SAFETENSORS_H
#define TAPER_SAFETENSORS_H

#include "support/status.h"
#include <stddef.h>
#include <stdint.h>

enum tensor_type { TENSOR_F32, TENSOR_F64, TENSOR_I64, TENSOR_U8 };

struct named_tensor {
    const char *name;
    enum tensor_type type;
    int rank;
    int64_t shape[4];
    const void *data; /* contiguous, row-major */
};

struct metadata {
    const char *key, *value;
};

/* Replaces `path` atomically (file.h). Names and keys are UTF-8, each there once. */
enum status safetensors_write(const char *path, const struct named_tensor *tensors, int count,
                              const struct metadata *metadata, int metadata_count);

/* A file read whole, every size, offset, name and type checked: offsets in bounds, aligned, without
 * overlap or holes; header at most 16 MB; no duplicate names; sizes without overflow. Owns its
 * memory; tensors and metadata point into it. */
struct safetensors {
    int count;
    struct named_tensor *tensors;
    int metadata_count;
    struct metadata *metadata;
    void *memory; /* private */
};
enum status safetensors_read(struct safetensors *file, const char *path);
void safetensors_release(struct safetensors *file);
const struct named_tensor *safetensors_find(const struct safetensors *file, const char *name);
const char *safetensors_metadata(const struct safetensors *file, const char *key); /* or NULL */

/* Copies a tensor after checking type, rank and shape; the sentence names file and tensor. */
enum status safetensors_copy(const struct safetensors *file, const char *path, const char *name,
                             enum tensor_type type, int rank, const int64_t *shape, void *into);

#endif
