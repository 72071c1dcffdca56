/* The metric latency_table: milliseconds as a sum of layers, told without running anything. */
#include "metric/metric_type.h"
#include "metric/table_check.h"
#include "support/memory.h"

#include <stdlib.h>

static enum status read_table(struct metric *metric, struct latency_table *table) {
    const struct bench *bench = metric->bench;
    if (bench == NULL || bench->latency.table[0] == '\0')
        return fail(STATUS_USAGE, "metric \"latency_table\" needs latency.table, the file of a "
                                  "latency table");
    TRY(latency_table_read(table, bench->latency.table));
    enum status status = latency_table_fits(table, bench);
    if (status == STATUS_OK)
        return STATUS_OK;
    latency_table_release(table);
    return fail_in(status, "%s", bench->latency.table);
}

static enum status table_create(struct metric *metric) {
    struct latency_table *table;
    TRY(allocate(&table, 1, sizeof *table, "a latency table"));
    enum status status = read_table(metric, table);
    if (status == STATUS_OK)
        metric->state = table;
    else
        free(table);
    return status;
}

static void table_release(struct metric *metric) {
    latency_table_release(metric->state);
    free(metric->state);
}

static enum status table_value(struct metric *metric, const struct subnetwork *sub, double *value) {
    return latency_table_sum(metric->state, metric->network, sub, value);
}

const struct metric_type metric_latency_table = {.name = "latency_table",
                                                 .measured = true,
                                                 .create = table_create,
                                                 .release = table_release,
                                                 .value = table_value};
