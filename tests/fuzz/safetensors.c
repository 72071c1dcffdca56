/* Any bytes as a safetensors file: refused with one line, or every byte of every tensor lies in
 * memory, under a name that finds it. */
#include "support/safetensors.h"
#include "fuzz_file.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct named_tensor *tensor) {
    static const size_t sizes[] = {
        [TENSOR_F32] = 4, [TENSOR_F64] = 8, [TENSOR_I64] = 8, [TENSOR_U8] = 1};
    size_t bytes = sizes[tensor->type];
    for (int d = 0; d < tensor->rank; d++)
        bytes *= (size_t)tensor->shape[d];
    return bytes;
}

static void copy_tensor(const struct safetensors *file, const struct named_tensor *tensor,
                        const char *path) {
    size_t bytes = bytes_of(tensor);
    void *copy = malloc(bytes > 0 ? bytes : 1);
    const struct named_tensor *found = safetensors_find(file, tensor->name);
    if (copy == NULL || found == NULL || strcmp(found->name, tensor->name) != 0 ||
        safetensors_copy(file, path, found->name, found->type, found->rank, found->shape, copy) !=
            STATUS_OK ||
        memcmp(copy, found->data, bytes_of(found)) != 0)
        abort();
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct safetensors file;
    failure_clear();
    const char *path = fuzz_file(0, data, size);
    enum status status = safetensors_read(&file, path);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL)
        abort();
    size_t covered = 0;
    for (int i = 0; i < file.count; i++) {
        copy_tensor(&file, &file.tensors[i], path);
        covered += bytes_of(&file.tensors[i]);
    }
    for (int i = 0; i < file.metadata_count; i++)
        if (safetensors_metadata(&file, file.metadata[i].key) == NULL)
            abort();
    if (covered > size)
        abort();
    safetensors_release(&file);
    return 0;
}
