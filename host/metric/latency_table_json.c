/* A latency table as a file of JSON. */
#include "metric/table_fields.h"
#include "network/words.h"
#include "support/file.h"
#include "support/json.h"
#include "support/memory.h"
#include "support/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "taper latency table 1";

static enum status read_count(const json_t *object, const char *key, int least, int most,
                              int *value) {
    const json_t *json = json_object_get(object, key);
    json_int_t number = json_integer_value(json);
    if (!json_is_integer(json) || number < least || number > most)
        return fail(STATUS_USAGE, "%s must be a whole number from %d to %d", key, least, most);
    *value = (int)number;
    return STATUS_OK;
}

static enum status read_number(const json_t *object, const char *key, double most, double *value) {
    const json_t *json = json_object_get(object, key);
    double number = json_number_value(json);
    if (!json_is_number(json) || !(number >= 0 && number <= most))
        return fail(STATUS_USAGE, "%s must be a number from 0 to %g", key, most);
    *value = number;
    return STATUS_OK;
}

/* yes_no: true and false stand for 1 and 0. */
static enum status read_yes_no(const json_t *object, const char *key, int *value) {
    const json_t *json = json_object_get(object, key);
    if (!json_is_boolean(json))
        return fail(STATUS_USAGE, "%s must be true or false", key);
    *value = json_is_true(json);
    return STATUS_OK;
}

static enum status read_word(const json_t *object, const char *key, int (*find)(const char *word),
                             int *value) {
    const char *word = json_string_value(json_object_get(object, key));
    int found = word == NULL ? -1 : find(word);
    if (found < 0)
        return fail(STATUS_USAGE, "%s is missing, or a word that taper help config does not know",
                    key);
    *value = found;
    return STATUS_OK;
}

static enum status read_layer(const json_t *json, struct table_layer *layer) {
    enum { OTHERS = 3 }; /* layer, activation, milliseconds */
    TRY(read_word(json, "layer", table_find_kind, &layer->kind));
    TRY(read_word(json, "activation", table_find_activation, &layer->activation));
    for (int i = 0; i < TABLE_NUMBERS; i++) {
        const struct table_number *number = &table_numbers[i];
        int *value = table_number_in(layer, i);
        if (number->most == 1)
            TRY(read_yes_no(json, number->name, value));
        else
            TRY(read_count(json, number->name, number->least, number->most, value));
    }
    TRY(read_number(json, "milliseconds", MAX_MILLISECONDS, &layer->milliseconds));
    if (json_object_size(json) != TABLE_NUMBERS + OTHERS)
        return fail(STATUS_USAGE, "it has keys that no layer has");
    const char *fault = table_layer_fault(layer);
    return fault == NULL ? STATUS_OK : fail(STATUS_USAGE, "%s", fault);
}

static enum status read_layers(struct latency_table *table, const json_t *layers) {
    size_t count = json_array_size(layers);
    if (!json_is_array(layers) || count == 0 || count > MAX_TABLE_LAYERS)
        return fail(STATUS_USAGE, "layers must be a list of 1 to %d layers", MAX_TABLE_LAYERS);
    TRY(allocate(&table->layers, count, sizeof *table->layers, "a latency table"));
    for (size_t i = 0; i < count; i++) {
        enum status status = read_layer(json_array_get(layers, i), &table->layers[i]);
        if (status != STATUS_OK)
            return fail_in(status, "layers[%zu]", i);
        table->count++;
    }
    return latency_table_sort(table);
}

static enum status read_interpolation(struct latency_table *table, const json_t *json) {
    TRY(read_count(json, "points", 0, MAX_TABLE_LAYERS, &table->points));
    TRY(read_number(json, "mean_error", MAX_MILLISECONDS, &table->mean_error));
    TRY(read_number(json, "worst_error", MAX_MILLISECONDS, &table->worst_error));
    return json_object_size(json) == 3 ? STATUS_OK
                                       : fail(STATUS_USAGE, "interpolation has unknown keys");
}

static enum status read_table(struct latency_table *table, const json_t *json) {
    enum { KEYS = 5 };
    const char *format = json_string_value(json_object_get(json, "format"));
    const char *device = json_string_value(json_object_get(json, "device"));
    const json_t *interpolation = json_object_get(json, "interpolation");
    if (format == NULL || strcmp(format, format_name) != 0)
        return fail(STATUS_USAGE, "format must be \"%s\"", format_name);
    if (device == NULL || device[0] == '\0' || strlen(device) >= sizeof table->device)
        return fail(STATUS_USAGE, "device must be a name of 1 to %zu bytes",
                    sizeof table->device - 1);
    strcpy(table->device, device);
    TRY(read_count(json, "batch_images", 1, MAX_TABLE_NUMBER, &table->batch_images));
    TRY(read_count(json, "threads", 1, MAX_TABLE_NUMBER, &table->threads));
    if (interpolation != NULL)
        TRY(read_interpolation(table, interpolation));
    if (json_object_size(json) != KEYS + (interpolation != NULL))
        return fail(STATUS_USAGE, "it has keys that no latency table has");
    return read_layers(table, json_object_get(json, "layers"));
}

static enum status parse(struct latency_table *table, const char *text, size_t size) {
    json_error_t error;
    json_t *json = json_read(text, size, &error);
    if (json == NULL && json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for a latency table");
    if (json == NULL)
        return fail(STATUS_USAGE, "line %d: not JSON: %s", error.line, error.text);
    enum status status = read_table(table, json);
    json_decref(json);
    return status;
}

enum status latency_table_read(struct latency_table *table, const char *path) {
    char *text = NULL;
    size_t size;
    *table = (struct latency_table){0};
    TRY(file_read(path, MAX_TABLE_BYTES, &text, &size));
    enum status status = parse(table, text, size);
    free(text);
    if (status == STATUS_OK)
        return STATUS_OK;
    latency_table_release(table);
    return fail_in(status, "%s", path);
}

static json_t *layer_to_json(struct table_layer layer) {
    json_t *json = json_pack("{s:s}", "layer", table_kind_word(layer.kind));
    for (int i = 0; i < TABLE_NUMBERS && json != NULL; i++) {
        int value = *table_number_in(&layer, i);
        json_object_set_new(json, table_numbers[i].name,
                            table_numbers[i].most == 1 ? json_boolean(value) : json_integer(value));
    }
    if (json != NULL) {
        json_object_set_new(json, "activation", json_string(activation_words[layer.activation]));
        json_object_set_new(json, "milliseconds", json_real(layer.milliseconds));
    }
    return json;
}

/* Every key is there, which tells of a lack of memory. */
static enum status write_layer(FILE *file, const struct table_layer *layer) {
    json_t *json = layer_to_json(*layer);
    char *text = json_object_size(json) == TABLE_NUMBERS + 3
                     ? json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(9))
                     : NULL;
    json_decref(json);
    if (text == NULL)
        return fail(STATUS_FAILED, "no memory to write a latency table");
    fprintf(file, "    %s", text);
    free(text);
    return STATUS_OK;
}

static enum status write_table(const struct latency_table *table, FILE *file) {
    json_t *device = json_string(table->device);
    char *name = device ? json_text(device, JSON_ENCODE_ANY) : NULL;
    json_decref(device);
    if (name == NULL)
        return fail(STATUS_FAILED, "no memory to write a latency table");
    fprintf(file, "{\n  \"format\": \"%s\",\n  \"device\": %s,\n", format_name, name);
    free(name);
    fprintf(file, "  \"batch_images\": %d,\n  \"threads\": %d,\n", table->batch_images,
            table->threads);
    if (table->points > 0)
        fprintf(file,
                "  \"interpolation\": {\"points\": %d, \"mean_error\": %.9g, \"worst_error\": "
                "%.9g},\n",
                table->points, table->mean_error, table->worst_error);
    fputs("  \"layers\": [\n", file);
    for (int i = 0; i < table->count; i++) {
        TRY(write_layer(file, &table->layers[i]));
        fputs(i + 1 < table->count ? ",\n" : "\n", file);
    }
    fputs("  ]\n}\n", file);
    return STATUS_OK;
}

enum status latency_table_write(const struct latency_table *table, const char *path) {
    struct text text;
    FILE *stream;
    TRY(text_open(&text, &stream, "a latency table"));
    enum status status = write_table(table, stream), closed = text_close(&text, stream, "a table");
    if (status == STATUS_OK)
        status = closed;
    if (status == STATUS_OK)
        status = file_replace(path, &(struct file_part){text.bytes, text.size}, 1);
    free(text.bytes);
    return status;
}
