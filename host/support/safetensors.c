#include "support/safetensors.h"
#include "support/file.h"
#include "support/json.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEADER = 16 << 20, MOST_RANK = 4, MOST_DESCRIPTION = 128 };
#define MOST_FILE ((size_t)1 << 36)

static const struct {
    const char *name;
    size_t size;
} types[] = {[TENSOR_F32] = {"F32", 4},
             [TENSOR_F64] = {"F64", 8},
             [TENSOR_I64] = {"I64", 8},
             [TENSOR_U8] = {"U8", 1}};
enum { TYPES = sizeof types / sizeof types[0] };

static size_t tensor_bytes(const struct named_tensor *tensor) {
    size_t bytes = types[tensor->type].size;
    for (int i = 0; i < tensor->rank; i++)
        bytes *= (size_t)tensor->shape[i];
    return bytes;
}

/* ------------------------------------------------------------------ writing */

/* Largest elements first, so that every tensor is aligned to its type behind the others. */
static void order_for_writing(const struct named_tensor **order, const struct named_tensor *tensors,
                              int count) {
    int next = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (int i = 0; i < count; i++)
            if (types[tensors[i].type].size == size)
                order[next++] = &tensors[i];
}

static json_t *entry_of(const struct named_tensor *tensor, size_t offset) {
    json_t *shape = json_array();
    for (int d = 0; d < tensor->rank; d++)
        if (json_array_append_new(shape, json_integer(tensor->shape[d])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", types[tensor->type].name, "shape", shape,
                     "data_offsets", (json_int_t)offset,
                     (json_int_t)offset + (json_int_t)tensor_bytes(tensor));
}

static enum status add(const char *path, json_t *object, const char *key, json_t *value) {
    if (json_object_get(object, key) != NULL) {
        json_decref(value);
        return fail(STATUS_FAILED, "cannot write %s: %s is there twice", path, key);
    }
    if (json_object_set_new(object, key, value) != 0)
        return fail(STATUS_FAILED, "cannot write %s: %s is not UTF-8, or no memory", path, key);
    return STATUS_OK;
}

static enum status fill_header(const char *path, json_t *header,
                               const struct named_tensor *const *tensors, int count,
                               const struct metadata *metadata, int metadata_count) {
    json_t *notes = json_object();
    TRY(add(path, header, "__metadata__", notes)); /* the header owns it now */
    for (int i = 0; i < metadata_count; i++)
        TRY(add(path, notes, metadata[i].key, json_string(metadata[i].value)));
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        TRY(add(path, header, tensors[i]->name, entry_of(tensors[i], offset)));
        offset += tensor_bytes(tensors[i]);
    }
    return STATUS_OK;
}

/* The header padded with spaces to a multiple of 8, so that the data are aligned in the file. */
static enum status header_text(json_t *header, char **text, size_t *length) {
    char *dumped = json_dumps(header, JSON_COMPACT);
    if (dumped == NULL)
        return fail(STATUS_FAILED, "no memory for the header of a safetensors file");
    size_t used = strlen(dumped), padded = (used + 7) / 8 * 8;
    enum status status = allocate(text, padded + 1, 1, "the header of a safetensors file");
    if (status == STATUS_OK) {
        memset(*text, ' ', padded);
        memcpy(*text, dumped, used);
        *length = padded;
    }
    free(dumped);
    return status;
}

enum status safetensors_write(const char *path, const struct named_tensor *tensors, int count,
                              const struct metadata *metadata, int metadata_count) {
    const struct named_tensor **order = NULL;
    struct file_part *parts = NULL;
    char *text = NULL;
    size_t length = 0;
    uint8_t size[8];
    enum status status = STATUS_OK;
    json_t *header = json_object();
    TRY_CLEANUP(allocate(&order, (size_t)count, sizeof *order, "writing a file"));
    TRY_CLEANUP(allocate(&parts, (size_t)count + 2, sizeof *parts, "writing a file"));
    order_for_writing(order, tensors, count);
    TRY_CLEANUP(fill_header(path, header, order, count, metadata, metadata_count));
    TRY_CLEANUP(header_text(header, &text, &length));
    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)(length >> (8 * i));
    parts[0] = (struct file_part){size, sizeof size};
    parts[1] = (struct file_part){text, length};
    for (int i = 0; i < count; i++)
        parts[i + 2] = (struct file_part){order[i]->data, tensor_bytes(order[i])};
    status = file_replace(path, parts, count + 2);
done:
    json_decref(header);
    free(text);
    free(parts);
    free(order);
    return status;
}

/* ------------------------------------------------------------------ reading */

struct contents {
    char *file;     /* owned */
    json_t *header; /* owned: names and metadata point into it */
};

static enum status read_shape(const char *path, const char *name, const json_t *shape,
                              struct named_tensor *tensor, size_t *bytes) {
    if (!json_is_array(shape) || json_array_size(shape) > MOST_RANK)
        return fail(STATUS_USAGE, "%s: tensor %s has no shape of at most %d dimensions", path, name,
                    MOST_RANK);
    tensor->rank = (int)json_array_size(shape);
    *bytes = types[tensor->type].size;
    for (int d = 0; d < tensor->rank; d++) {
        const json_t *size = json_array_get(shape, (size_t)d);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return fail(STATUS_USAGE, "%s: tensor %s has a dimension that is not a size", path,
                        name);
        tensor->shape[d] = json_integer_value(size);
        if (__builtin_mul_overflow(*bytes, (size_t)tensor->shape[d], bytes))
            return fail(STATUS_USAGE, "%s: the size of tensor %s overflows", path, name);
    }
    return STATUS_OK;
}

static enum status read_tensor(const char *path, const char *name, const json_t *entry,
                               const char *data, size_t size, struct named_tensor *tensor) {
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    int which = 0;
    while (which < TYPES && (type == NULL || strcmp(type, types[which].name) != 0))
        which++;
    if (which == TYPES)
        return fail(STATUS_USAGE, "%s: tensor %s has the type %s, which taper does not write", path,
                    name, type ? type : "(none)");
    tensor->name = name;
    tensor->type = (enum tensor_type)which;
    size_t bytes = 0;
    TRY(read_shape(path, name, json_object_get(entry, "shape"), tensor, &bytes));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return fail(STATUS_USAGE, "%s: tensor %s has no pair of data_offsets", path, name);
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (size_t)end > size || (size_t)(end - begin) != bytes)
        return fail(STATUS_USAGE,
                    "%s: tensor %s lies at [%lld, %lld) of %zu data bytes, its shape needs %zu",
                    path, name, (long long)begin, (long long)end, size, bytes);
    if (begin % (json_int_t)types[which].size != 0)
        return fail(STATUS_USAGE, "%s: tensor %s is not aligned to its type", path, name);
    tensor->data = data + begin;
    return STATUS_OK;
}

static int by_address(const void *a, const void *b) {
    const struct named_tensor *first = a, *second = b;
    const char *x = first->data, *y = second->data;
    if (x != y)
        return x < y ? -1 : 1;
    size_t left = tensor_bytes(first), right = tensor_bytes(second);
    return left < right ? -1 : left > right;
}

/* In the order of their data, tensors must follow each other without hole or overlap. */
static enum status check_cover(const char *path, struct safetensors *file, const char *data,
                               size_t size) {
    if (file->count > 0)
        qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_address);
    const char *next = data;
    for (int i = 0; i < file->count; i++) {
        const char *at = file->tensors[i].data;
        if (at != next)
            return fail(STATUS_USAGE, "%s: tensor %s %s", path, file->tensors[i].name,
                        at < next ? "overlaps another" : "leaves a hole before it");
        next += tensor_bytes(&file->tensors[i]);
    }
    if (next != data + size)
        return fail(STATUS_USAGE, "%s: %zu bytes behind the last tensor", path,
                    (size_t)(data + size - next));
    return STATUS_OK;
}

static enum status read_metadata(const char *path, const json_t *notes, struct safetensors *file) {
    if (!json_is_object(notes))
        return fail(STATUS_USAGE, "%s: __metadata__ is not an object of strings", path);
    TRY(allocate(&file->metadata, json_object_size(notes) + 1, sizeof *file->metadata, path));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)notes, key, value) {
        if (!json_is_string(value))
            return fail(STATUS_USAGE, "%s: metadata %s is not a string", path, key);
        file->metadata[file->metadata_count++] = (struct metadata){key, json_string_value(value)};
    }
    return STATUS_OK;
}

static enum status read_entries(const char *path, struct safetensors *file, const json_t *header,
                                const char *data, size_t size) {
    TRY(allocate(&file->tensors, json_object_size(header) + 1, sizeof *file->tensors, path));
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            TRY(read_metadata(path, entry, file));
        else
            TRY(read_tensor(path, name, entry, data, size, &file->tensors[file->count++]));
    }
    return check_cover(path, file, data, size);
}

static enum status read_contents(struct safetensors *file, struct contents *contents,
                                 const char *path) {
    size_t size;
    TRY(file_read(path, MOST_FILE, &contents->file, &size));
    if (size < 8)
        return fail(STATUS_USAGE, "%s: too short for a safetensors file", path);
    uint64_t length = 0;
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)(uint8_t)contents->file[i] << (8 * i);
    if (length > MOST_HEADER || length > size - 8)
        return fail(STATUS_USAGE,
                    "%s: a header of %llu bytes does not fit into the file of %zu bytes, or is "
                    "longer than %d",
                    path, (unsigned long long)length, size, MOST_HEADER);
    json_error_t error;
    contents->header = json_read(contents->file + 8, (size_t)length, &error);
    if (contents->header == NULL && json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for the header of %s", path);
    if (!json_is_object(contents->header))
        return fail(STATUS_USAGE, "%s: the header is not a JSON object%s%s", path,
                    contents->header == NULL ? ": " : "",
                    contents->header == NULL ? error.text : "");
    /* Other programs' headers may have any length: the data move down over its end, to a multiple
     * of 8, and are aligned in memory. */
    char *data = contents->file + 8 + length / 8 * 8;
    memmove(data, data + length % 8, size - 8 - (size_t)length);
    return read_entries(path, file, contents->header, data, size - 8 - (size_t)length);
}

enum status safetensors_read(struct safetensors *file, const char *path) {
    struct contents *contents;
    *file = (struct safetensors){0};
    TRY(allocate(&contents, 1, sizeof *contents, path));
    file->memory = contents;
    enum status status = read_contents(file, contents, path);
    if (status != STATUS_OK)
        safetensors_release(file);
    return status;
}

void safetensors_release(struct safetensors *file) {
    struct contents *contents = file->memory;
    if (contents) {
        json_decref(contents->header);
        free(contents->file);
    }
    free(contents);
    free(file->tensors);
    free(file->metadata);
    *file = (struct safetensors){0};
}

const struct named_tensor *safetensors_find(const struct safetensors *file, const char *name) {
    for (int i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key) {
    for (int i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}

/* "F32 [16, 1, 3, 3]" */
static void describe(char *text, size_t room, enum tensor_type type, int rank,
                     const int64_t *shape) {
    int used = snprintf(text, room, "%s [", types[type].name);
    for (int d = 0; d < rank; d++)
        used += snprintf(text + used, room - (size_t)used, "%s%lld", d > 0 ? ", " : "",
                         (long long)shape[d]);
    snprintf(text + used, room - (size_t)used, "]");
}

enum status safetensors_copy(const struct safetensors *file, const char *path, const char *name,
                             enum tensor_type type, int rank, const int64_t *shape, void *into) {
    const struct named_tensor *tensor = safetensors_find(file, name);
    if (tensor == NULL)
        return fail(STATUS_USAGE, "%s: there is no tensor %s", path, name);
    char has[MOST_DESCRIPTION], wanted[MOST_DESCRIPTION];
    describe(has, sizeof has, tensor->type, tensor->rank, tensor->shape);
    describe(wanted, sizeof wanted, type, rank, shape);
    if (strcmp(has, wanted) != 0)
        return fail(STATUS_USAGE, "%s: tensor %s is %s, but %s is expected", path, name, has,
                    wanted);
    memcpy(into, tensor->data, tensor_bytes(tensor));
    return STATUS_OK;
}
