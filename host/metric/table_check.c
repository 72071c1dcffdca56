#include "metric/table_check.h"
#include "metric/layer_times.h"
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
    double slower[TABLE_CHECKS], sum = 0, level = 0;
    check->worst_error = check->worst = 0;
    for (int i = 0; i < check->count; i++) {
        const struct table_checked *one = &check->networks[i];
        double error = fabs(one->table / one->measured - 1);
        slower[i] = one->measured / one->table;
        sum += error;
        if (error > check->worst_error) {
            check->worst_error = error;
            check->worst = i;
        }
    }
    check->tau = kendall_tau(check);
    if (check->count == 0)
        return;
    median_sort(slower, check->count);
    check->speed = median_of(slower, check->count).value;
    for (int i = 0; i < check->count; i++)
        level += fabs(check->speed * check->networks[i].table / check->networks[i].measured - 1);
    check->mean_error = sum / check->count;
    check->level_error = level / check->count;
}

static enum status measure(struct table_check *check, const struct bench *bench,
                           const struct network *network, struct deployed *reference) {
    double references[TABLE_CHECKS];
    struct layer_times times;
    for (; check->count < TABLE_CHECKS; check->count++) {
        struct table_checked *one = &check->networks[check->count];
        if (interrupt_requested())
            return fail(STATUS_INTERRUPTED, "%d of %d networks were measured", check->count,
                        TABLE_CHECKS);
        TRY(layer_times_measure(bench, network, &one->sub, reference, &times));
        references[check->count] = times.reference;
        one->measured = times.whole / times.reference;
    }
    median_sort(references, TABLE_CHECKS);
    for (int i = 0; i < TABLE_CHECKS; i++)
        check->networks[i].measured *= 1e3 * median_of(references, TABLE_CHECKS).value;
    return STATUS_OK;
}

enum status table_check(struct table_check *check, const struct latency_table *table,
                        const struct bench *bench, const struct network *network, uint64_t seed) {
    struct random_sequence random = random_sequence(seed, RANDOM_LATENCY, 1, 0);
    struct deployed reference;
    *check = (struct table_check){0};
    for (int i = 0; i < TABLE_CHECKS; i++) {
        struct table_checked *one = &check->networks[i];
        one->sub = subnetwork_draw(network, &random);
        TRY(latency_table_sum(table, network, &one->sub, &one->table));
    }
    TRY(layer_times_reference(bench, network, &reference));
    enum status status = measure(check, bench, network, &reference);
    deployed_release(&reference);
    if (status == STATUS_OK)
        table_check_summarise(check);
    return status;
}
