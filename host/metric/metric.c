#include "metric/metric.h"
#include "metric/metric_type.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct metric_type *const built_in[] = {
    &metric_macs, &metric_parameters, &metric_latency, &metric_latency_table, &metric_memory};

static const struct metric_type *find_built_in(const char *name) {
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (strcmp(name, built_in[i]->name) == 0)
            return built_in[i];
    return NULL;
}

static enum status find_type(const struct metric_config *config, const struct metric_type **type) {
    bool has_command = config->command[0] != '\0';
    *type = find_built_in(config->name);
    if (*type != NULL && has_command)
        return fail(STATUS_USAGE,
                    "metric \"%s\" is built in; give the metric of your command another name",
                    config->name);
    if (*type == NULL && !has_command)
        return fail(STATUS_USAGE,
                    "metric \"%s\" is not built in (\"macs\", \"parameters\", \"latency\", "
                    "\"latency_table\" and \"memory\" are); give it a command",
                    config->name);
    if (*type == NULL)
        *type = &metric_command;
    return STATUS_OK;
}

enum status metric_create(struct metric **created, const struct metric_config *config,
                          const struct network *network, const struct bench *bench) {
    *created = NULL;
    const struct metric_type *type = NULL;
    TRY(find_type(config, &type));
    struct metric *metric;
    TRY(allocate(&metric, 1, sizeof *metric, "a metric"));
    *metric = (struct metric){.type = type, .config = *config, .network = network, .bench = bench};
    if (type->create) {
        enum status status = type->create(metric);
        if (status != STATUS_OK) {
            free(metric);
            return status;
        }
    }
    metric->bench = NULL;
    *created = metric;
    return STATUS_OK;
}

bool metric_needs_bench(const struct metric_config *config) {
    const struct metric_type *type = find_built_in(config->name);
    return type != NULL && type->measured;
}

bool metric_costs_time(const struct metric_config *config) {
    const struct metric_type *type = find_built_in(config->name);
    return type == NULL || type->slow; /* a command of the user's */
}

void metric_release(struct metric *metric) {
    if (metric && metric->type->release)
        metric->type->release(metric);
    free(metric);
}

const char *metric_name(const struct metric *metric) {
    return metric->config.name;
}

bool metric_slow(const struct metric *metric) {
    return metric->type->slow;
}

enum status metric_value(struct metric *metric, const struct subnetwork *sub, double *value) {
    return metric->type->value(metric, sub, value);
}
