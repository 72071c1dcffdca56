/* The metrics that are measured here: the time and the memory of a deployed network's pass. */
#include "metric/metric_type.h"
#include "metric/notebook.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct measured {
    struct bench bench;
    struct notebook notebook; /* of latency alone */
};

static enum status create_without_notebook(struct metric *metric) {
    struct measured *measured;
    if (metric->bench == NULL)
        return fail(STATUS_FAILED, "metric \"%s\" has nothing to be measured on",
                    metric->config.name);
    TRY(allocate(&measured, 1, sizeof *measured, "a metric that is measured"));
    measured->bench = *metric->bench;
    measured->notebook.lines.file = -1;
    metric->state = measured;
    return STATUS_OK;
}

static void measured_release(struct metric *metric) {
    struct measured *measured = metric->state;
    notebook_close(&measured->notebook);
    free(measured);
}

static enum status latency_create(struct metric *metric) {
    TRY(create_without_notebook(metric));
    struct measured *measured = metric->state;
    const struct bench *bench = &measured->bench;
    enum status status = notebook_open(&measured->notebook, bench, metric->network);
    if (status == STATUS_OK && bench->notes)
        status =
            log_event(bench->log, "{s:s, s:s, s:i, s:i, s:i, s:f, s:f}", "event", "latency",
                      "device", bench->device, "batch_images", bench->latency.batch_images,
                      "threads", bench->latency.threads, "repetitions", bench->latency.repetitions,
                      "interval", bench->latency.interval, "seconds", bench->latency.seconds);
    if (status != STATUS_OK)
        measured_release(metric);
    return status;
}

/* Many may be measured before the next sample is scored. */
static enum status go_on(const struct measured *measured) {
    char line[64];
    if (!measured->bench.notes)
        return STATUS_OK;
    if (interrupt_requested())
        return fail(STATUS_INTERRUPTED,
                    "the search is stopped while latencies are measured; the same command goes on");
    snprintf(line, sizeof line, "latency: %zu networks measured",
             json_object_size(measured->notebook.known));
    log_status_line(measured->bench.log, line);
    return STATUS_OK;
}

static enum status latency_value(struct metric *metric, const struct subnetwork *sub,
                                 double *value) {
    struct measured *measured = metric->state;
    struct stopwatch_result result;
    bool known;
    TRY(notebook_find(&measured->notebook, metric->network, sub, &known, value));
    if (known)
        return STATUS_OK;
    TRY(go_on(measured));
    TRY(bench_latency(&measured->bench, metric->network, sub, &result));
    TRY(notebook_add(&measured->notebook, &measured->bench, metric->network, sub, &result));
    *value = 1e3 * result.median.value;
    return STATUS_OK;
}

static enum status memory_value(struct metric *metric, const struct subnetwork *sub,
                                double *value) {
    const struct measured *measured = metric->state;
    return bench_memory(&measured->bench, metric->network, sub, value);
}

const struct metric_type metric_latency = {.name = "latency",
                                           .slow = true,
                                           .measured = true,
                                           .create = latency_create,
                                           .release = measured_release,
                                           .value = latency_value};
const struct metric_type metric_memory = {.name = "memory",
                                          .slow = true,
                                          .measured = true,
                                          .create = create_without_notebook,
                                          .release = measured_release,
                                          .value = memory_value};
