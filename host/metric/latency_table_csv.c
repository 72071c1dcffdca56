/* A latency table as columns of text, which any program writes. */
#include "metric/table_fields.h"
#include "support/file.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = TABLE_NUMBERS + 3, COLUMN_KIND = TABLE_NUMBERS, COLUMN_ACTIVATION, COLUMN_TIME };

struct columns {
    int field[COLUMNS]; /* what each column holds: a number of table_numbers, or COLUMN_... */
};

static const char *field_name(int field) {
    static const char *const others[] = {"layer", "activation", "milliseconds"};
    return field < TABLE_NUMBERS ? table_numbers[field].name : others[field - TABLE_NUMBERS];
}

static int find_field(const char *name) {
    for (int field = 0; field < COLUMNS; field++)
        if (strcmp(field_name(field), name) == 0)
            return field;
    return -1;
}

/* Cuts a line at its commas; values lose the blanks around them. */
static enum status cut(char *line, char *values[COLUMNS]) {
    int count = 0;
    for (char *at = line; at != NULL;) {
        char *value = strsep(&at, ",");
        value += strspn(value, " \t");
        for (char *end = value + strlen(value); end > value && strchr(" \t\r", end[-1]); end--)
            end[-1] = '\0';
        if (count < COLUMNS)
            values[count] = value;
        count++;
    }
    return count == COLUMNS ? STATUS_OK : fail(STATUS_USAGE, "%d columns, not %d", count, COLUMNS);
}

static enum status read_names(char *line, struct columns *columns) {
    char *names[COLUMNS];
    bool seen[COLUMNS] = {false};
    TRY(cut(line, names));
    for (int i = 0; i < COLUMNS; i++) {
        int field = find_field(names[i]);
        if (field < 0 || seen[field])
            return fail(STATUS_USAGE, "column %d is no key of a layer, or one that was there",
                        i + 1);
        seen[field] = true;
        columns->field[i] = field;
    }
    return STATUS_OK;
}

static enum status read_whole(const char *text, const char *name, int least, int most, int *value) {
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < least || number > most)
        return fail(STATUS_USAGE, "%s must be a whole number from %d to %d", name, least, most);
    *value = (int)number;
    return STATUS_OK;
}

static enum status read_time(const char *text, double *milliseconds) {
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= 0 && number <= MAX_MILLISECONDS))
        return fail(STATUS_USAGE, "milliseconds must be a number from 0 to %g", MAX_MILLISECONDS);
    *milliseconds = number;
    return STATUS_OK;
}

static enum status read_value(const char *text, int field, struct table_layer *layer) {
    if (field == COLUMN_TIME)
        return read_time(text, &layer->milliseconds);
    if (field < TABLE_NUMBERS)
        return read_whole(text, table_numbers[field].name, table_numbers[field].least,
                          table_numbers[field].most, table_number_in(layer, field));
    int found = field == COLUMN_KIND ? table_find_kind(text) : table_find_activation(text);
    if (found < 0)
        return fail(STATUS_USAGE, "%s is a word that taper help config does not know",
                    field_name(field));
    *(field == COLUMN_KIND ? &layer->kind : &layer->activation) = found;
    return STATUS_OK;
}

static enum status read_layer(char *line, const struct columns *columns,
                              struct table_layer *layer) {
    char *values[COLUMNS];
    TRY(cut(line, values));
    for (int i = 0; i < COLUMNS; i++)
        TRY(read_value(values[i], columns->field[i], layer));
    const char *fault = table_layer_fault(layer);
    return fault == NULL ? STATUS_OK : fail(STATUS_USAGE, "%s", fault);
}

/* "# device: NAME" and the like; other lines behind # are remarks. */
static enum status read_remark(struct latency_table *table, char *line) {
    char *key = line + 1 + strspn(line + 1, " \t"), *value = strchr(key, ':');
    if (value == NULL)
        return STATUS_OK;
    *value++ = '\0';
    value += strspn(value, " \t");
    value[strcspn(value, "\r")] = '\0';
    if (strcmp(key, "batch_images") == 0)
        return read_whole(value, key, 1, MAX_TABLE_NUMBER, &table->batch_images);
    if (strcmp(key, "threads") == 0)
        return read_whole(value, key, 1, MAX_TABLE_NUMBER, &table->threads);
    if (strcmp(key, "device") != 0)
        return STATUS_OK;
    if (*value == '\0' || strlen(value) >= sizeof table->device)
        return fail(STATUS_USAGE, "device must be a name of 1 to %zu bytes",
                    sizeof table->device - 1);
    strcpy(table->device, value);
    return STATUS_OK;
}

static enum status read_line(struct latency_table *table, char *line, struct columns *columns,
                             bool *named) {
    if (line[strspn(line, " \t\r")] == '\0')
        return STATUS_OK;
    if (line[0] == '#')
        return read_remark(table, line);
    if (!*named) {
        *named = true;
        return read_names(line, columns);
    }
    return read_layer(line, columns, &table->layers[table->count++]);
}

static enum status parse(struct latency_table *table, char *text, size_t size) {
    struct columns columns;
    bool named = false;
    size_t lines = 1, line = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    if (lines > MAX_TABLE_LAYERS)
        return fail(STATUS_USAGE, "more than %d lines", MAX_TABLE_LAYERS);
    TRY(allocate(&table->layers, lines, sizeof *table->layers, "a latency table"));
    for (char *at = text; at != NULL; line++) {
        enum status status = read_line(table, strsep(&at, "\n"), &columns, &named);
        if (status != STATUS_OK)
            return fail_in(status, "line %zu", line);
    }
    if (table->device[0] == '\0' || table->batch_images == 0 || table->threads == 0)
        return fail(STATUS_USAGE,
                    "lines \"# device: NAME\", \"# batch_images: N\" and \"# threads: "
                    "N\" are missing");
    if (table->count == 0)
        return fail(STATUS_USAGE, "there are no layers");
    return latency_table_sort(table);
}

enum status latency_table_read_csv(struct latency_table *table, const char *path) {
    char *text = NULL;
    size_t size;
    *table = (struct latency_table){0};
    TRY(file_read(path, MAX_TABLE_BYTES, &text, &size));
    enum status status =
        strlen(text) == size ? parse(table, text, size) : fail(STATUS_USAGE, "it is no text");
    free(text);
    if (status == STATUS_OK)
        return STATUS_OK;
    latency_table_release(table);
    return fail_in(status, "%s", path);
}
