#include "metric/table_check.h"
#include "network/draw.h"
#include "support/interrupt.h"

#include <math.h>
#include <string.h>

enum status latency_table_fits(const struct latency_table *table, const struct bench *bench) {
    const struct latency_config *config = &bench->latency;
    if (table->batch_images != config->batch_images)
        return fail(STATUS_USAGE,
                    "the latency table is of passes of %d pictures, latency.batch_images is %d",
                    table->batch_images, config->batch_images);
    if (config->other_device)
        return STATUS_OK;
    if (table->threads != config->threads)
        return fail(STATUS_USAGE, "the latency table is of %d threads, latency.threads is %d",
                    table->threads, config->threads);
    if (strcmp(table->device, bench->device) != 0)
        return fail(STATUS_USAGE,
                    "the latency table is of \"%s\", and this is \"%s\"; latency.other_device: yes "
                    "takes it on purpose",
                    table->device, bench->device);
    return STATUS_OK;
}

static int sign(double x) {
    return (x > 0) - (x < 0);
}

static double kendall_tau(const struct table_check *check) {
    double agree = 0, tables = 0, measurements = 0;
    for (int i = 0; i < check->count; i++)
        for (int j = 0; j < i; j++) {
            const struct table_checked *a = &check->networks[i], *b = &check->networks[j];
            int table = sign(a->table - b->table), measured = sign(a->measured - b->measured);
            agree += table * measured;
            tables += table != 0;
            measurements += measured != 0;
        }
    return tables > 0 && measurements > 0 ? agree / sqrt(tables * measurements) : 1;
}

void table_check_summarise(struct table_check *check) {
    double sum = 0, above = 0;
    check->worst_error = 0;
    check->worst = 0;
    for (int i = 0; i < check->count; i++) {
        double error = check->networks[i].table / check->networks[i].measured - 1;
        sum += fabs(error);
        above += error;
        if (fabs(error) > check->worst_error) {
            check->worst_error = fabs(error);
            check->worst = i;
        }
    }
    check->mean_error = check->count > 0 ? sum / check->count : 0;
    check->bias = check->count > 0 ? above / check->count : 0;
    check->tau = kendall_tau(check);
}

enum status table_check(struct table_check *check, const struct latency_table *table,
                        const struct bench *bench, const struct network *network, uint64_t seed) {
    struct random_sequence random = random_sequence(seed, RANDOM_LATENCY, 1, 0);
    struct stopwatch_result result;
    *check = (struct table_check){0};
    for (int i = 0; i < TABLE_CHECKS; i++) {
        struct table_checked *one = &check->networks[i];
        one->sub = subnetwork_draw(network, &random);
        TRY(latency_table_sum(table, network, &one->sub, &one->table));
    }
    for (; check->count < TABLE_CHECKS; check->count++) {
        struct table_checked *one = &check->networks[check->count];
        if (interrupt_requested())
            return fail(STATUS_INTERRUPTED, "%d of %d networks were measured", check->count,
                        TABLE_CHECKS);
        TRY(bench_latency(bench, network, &one->sub, &result));
        one->measured = 1e3 * result.median.value;
        one->sure = result.narrow && result.steady;
    }
    table_check_summarise(check);
    return STATUS_OK;
}
