/* A metric: sub-network -> number. The search sees nothing else.
 *
 * Adding one: a file that fills struct metric_type (metric_type.h), and a row in metric.c's table.
 */
#ifndef TAPER_METRIC_H
#define TAPER_METRIC_H

#include "network/network.h"
#include "support/status.h"
#include <stdbool.h>

struct metric; /* owned: metric_release */
struct bench;  /* bench.h */

struct metric_config {
    char name[MAX_NAME]; /* "macs", "parameters", "latency" and "latency_table" (milliseconds),
                            "memory" (bytes), or any name of the user's for a command */
    char command[1024];  /* outside command, run by /bin/sh -c; "" for the built-in ones */
    double deadline;     /* seconds that one answer of the command may take */
};

/* The network must outlive the metric. bench: read now, by metrics that are measured here; others
 * take NULL as well. */
enum status metric_create(struct metric **created, const struct metric_config *config,
                          const struct network *network, const struct bench *bench);
bool metric_needs_bench(const struct metric_config *config);
bool metric_costs_time(const struct metric_config *config); /* what metric_slow() will say */
void metric_release(struct metric *metric); /* NULL is fine */
const char *metric_name(const struct metric *metric);
bool metric_slow(const struct metric *metric); /* worth asking last, and remembering */

/* Errors: the command died, is late, or answered something else than a finite number >= 0. */
enum status metric_value(struct metric *metric, const struct subnetwork *sub, double *value);

#endif
