#include "metric/metric.h"
#include "metric/metric_type.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct metric_type *const built_in[] = {&metric_macs, &metric_parameters};

static enum status find_type(const struct metric_config *config, const struct metric_type **type) {
    bool has_command = config->command[0] != '\0';
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
        if (strcmp(config->name, built_in[i]->name) != 0)
            continue;
        if (has_command)
            return fail(STATUS_USAGE,
                        "metric \"%s\" is built in; give the metric of your command another name",
                        config->name);
        *type = built_in[i];
        return STATUS_OK;
    }
    if (!has_command)
        return fail(STATUS_USAGE,
                    "metric \"%s\" is not built in (\"macs\" and \"parameters\" are); give it a "
                    "command",
                    config->name);
    *type = &metric_command;
    return STATUS_OK;
}

enum status metric_create(struct metric **created, const struct metric_config *config,
                          const struct network *network) {
    *created = NULL;
    const struct metric_type *type = NULL;
    TRY(find_type(config, &type));
    struct metric *metric;
    TRY(allocate(&metric, 1, sizeof *metric, "a metric"));
    *metric = (struct metric){.type = type, .config = *config, .network = network};
    if (type->create) {
        enum status status = type->create(metric);
        if (status != STATUS_OK) {
            free(metric);
            return status;
        }
    }
    *created = metric;
    return STATUS_OK;
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
