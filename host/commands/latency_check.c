/* taper latency check: the sums of a table beside measurements from end to end. */
#include "commands/latency.h"
#include "metric/table_check.h"
#include "network/subnetwork_json.h"
#include "support/interrupt.h"
#include "support/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *networks_to_json(const struct table_check *check, const struct network *network) {
    json_t *list = json_array();
    for (int i = 0; i < check->count && list != NULL; i++) {
        const struct table_checked *one = &check->networks[i];
        json_array_append_new(list, json_pack("{s:f, s:f, s:o}", "table", one->table, "measured",
                                              one->measured, "subnetwork",
                                              subnetwork_to_json(network, &one->sub)));
    }
    return list;
}

static enum status print_json(const struct table_check *check, const struct bench *bench,
                              const struct network *network) {
    json_t *json =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:s, s:o}", "mean_error", check->mean_error,
                  "worst_error", check->worst_error, "speed", check->speed, "level_error",
                  check->level_error, "kendall_tau", check->tau, "batch_images",
                  bench->latency.batch_images, "threads", bench->latency.threads, "device",
                  bench->device, "networks", networks_to_json(check, network));
    char *text = json ? json_text(json, 0) : NULL;
    json_decref(json);
    if (text == NULL)
        return fail(STATUS_FAILED, "no memory for the result");
    puts(text);
    free(text);
    return STATUS_OK;
}

static void print_lines(const struct table_check *check, const struct bench *bench) {
    const struct table_checked *worst = &check->networks[check->worst];
    printf("%d random sub-networks on %s: mean absolute error %.2f %%, Kendall's tau %.3f, worst "
           "%.2f %% (table %.4g ms, measured %.4g ms)\n"
           "the machine is %.3f times as slow as the table; with that factor the mean absolute "
           "error is %.2f %%\n",
           check->count, bench->device, 100 * check->mean_error, check->tau,
           100 * check->worst_error, worst->table, worst->measured, check->speed,
           100 * check->level_error);
}

static enum status check_table(const struct config *config, const struct options *options,
                               const struct latency_table *table) {
    struct bench bench;
    struct table_check check;
    TRY(latency_bench(&bench, config));
    TRY(latency_table_fits(table, &bench));
    interrupt_catch();
    TRY(table_check(&check, table, &bench, &config->network, config->seed));
    if (options->json)
        return print_json(&check, &bench, &config->network);
    print_lines(&check, &bench);
    return STATUS_OK;
}

static enum status check(const struct config *config, const struct options *options) {
    const char *path = options->table ? options->table : config->latency.table;
    struct latency_table table;
    if (path[0] == '\0')
        return fail(STATUS_USAGE, "which table? --table FILE, or latency.table");
    TRY(latency_table_read(&table, path));
    enum status status = check_table(config, options, &table);
    latency_table_release(&table);
    return status == STATUS_OK ? status : fail_in(status, "%s", path);
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct config config;
    TRY(options_parse(&options, OPTIONS_TABLE_CHECK, latency_check.summary, argc, argv));
    TRY(options_read_config(&options, &config));
    enum status status = check(&config, &options);
    config_release(&config);
    return status;
}

const struct command latency_check = {
    "check", "A latency table beside 30 random sub-networks measured from end to end", execute};
