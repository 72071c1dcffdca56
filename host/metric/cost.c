/* The metrics that are counted: multiplications and parameters. */
#include "metric/metric_type.h"

static enum status macs_value(struct metric *metric, const struct subnetwork *sub, double *value) {
    *value = network_cost(metric->network, sub).macs;
    return STATUS_OK;
}

static enum status parameters_value(struct metric *metric, const struct subnetwork *sub,
                                    double *value) {
    *value = network_cost(metric->network, sub).parameters;
    return STATUS_OK;
}

const struct metric_type metric_macs = {.name = "macs", .value = macs_value};
const struct metric_type metric_parameters = {.name = "parameters", .value = parameters_value};
