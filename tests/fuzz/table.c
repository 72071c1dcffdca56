/* Any bytes as a latency table, as JSON and as columns: refused with one line, or every layer is
 * within its limits, is found in the table, and comes back from a file. */
#include "fuzz_file.h"
#include "metric/table_fields.h"

#include <stdlib.h>
#include <string.h>

static void check_table(const struct latency_table *table) {
    for (int i = 0; i < table->count; i++) {
        char text[160];
        double found;
        if (strlen(table_layer_text(&table->layers[i], text)) >= sizeof text ||
            !latency_table_find(table, &table->layers[i], false, &found) ||
            found != table->layers[i].milliseconds || !(found >= 0 && found <= MAX_MILLISECONDS))
            abort();
        latency_table_find(table, &table->layers[i], true, &found);
    }
}

static void read_as(enum status (*read)(struct latency_table *table, const char *path),
                    const char *path) {
    struct latency_table table;
    failure_clear();
    enum status status = read(&table, path);
    if ((status == STATUS_OK) != (failure()[0] == '\0') || strchr(failure(), '\n') != NULL ||
        (status != STATUS_OK && table.layers != NULL))
        abort();
    check_table(&table);
    latency_table_release(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(0, data, size);
    read_as(latency_table_read, path);
    read_as(latency_table_read_csv, path);
    return 0;
}
