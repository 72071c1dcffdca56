/* What a metric is made of: a row of metric.c's table. */
#ifndef TAPER_METRIC_TYPE_H
#define TAPER_METRIC_TYPE_H

#include "metric/metric.h"

struct metric {
    const struct metric_type *type;
    struct metric_config config;
    const struct network *network;
    const struct bench *bench; /* while it is created */
    void *state;               /* the type's own; NULL without create */
};

struct metric_type {
    const char *name; /* NULL: any name, with a command */
    bool slow;
    bool measured; /* on the bench, or elsewhere as it says */
    /* Both NULL for a metric without state. create sets metric->state; on failure it leaves nothing
     * to release. */
    enum status (*create)(struct metric *metric);
    void (*release)(struct metric *metric);
    enum status (*value)(struct metric *metric, const struct subnetwork *sub, double *value);
};

extern const struct metric_type metric_macs, metric_parameters, metric_latency,
    metric_latency_table, metric_memory, metric_command;

#endif
