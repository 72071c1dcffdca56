#include "metric/bench.h"
#include "metric/process.h"
#include "supernet/backend.h"
#include "support/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a device's library says of it, its lines as one. */
static enum status describe_device(struct bench *bench, const char *backend) {
    char path[PATH_MAX], report[384] = "";
    snprintf(path, sizeof path, "%s", backend);
    if (backend[0] == '\0')
        TRY(backend_find(path));
    TRY(backend_report(path, report, sizeof report));
    size_t length = strlen(report);
    while (length > 0 && report[length - 1] == '\n')
        report[--length] = '\0';
    for (char *end; (end = strchr(report, '\n')) != NULL;)
        *end = ';';
    snprintf(bench->device, sizeof bench->device, "%s, taper %s: %s", bench->ops->name,
             TAPER_VERSION, report);
    return STATUS_OK;
}

enum status bench_create(struct bench *bench, const struct ops *ops, const char *backend,
                         const struct latency_config *latency, const struct pass_options *options) {
    char processor[128];
    *bench = (struct bench){.ops = ops, .latency = *latency, .options = *options};
    if (ops->memory->separate)
        return describe_device(bench, backend);
    machine_processor(processor, sizeof processor);
    snprintf(bench->device, sizeof bench->device, "%s, taper %s: %s", ops->name, TAPER_VERSION,
             processor);
    return STATUS_OK;
}

struct timed {
    struct deployed deployed;
    bool alone;           /* one thread of the CPU does it all */
    double wall, working; /* seconds of all runs */
};

static double thread_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool bench_alone(const struct bench *bench) {
    return !bench->ops->memory->separate && bench->latency.threads == 1;
}

double bench_clock(bool alone) {
    return alone ? thread_now() : process_now();
}

/* Of a single thread only the time counts in which it has a processor: on a machine that others
 * share, passes of milliseconds would be measured with all that came between. */
static enum status timed_run(void *context, double *seconds) {
    struct timed *timed = context;
    double wall = process_now(), working = thread_now();
    TRY(deployed_run(&timed->deployed));
    working = thread_now() - working;
    wall = process_now() - wall;
    timed->wall += wall;
    timed->working += working;
    *seconds = timed->alone ? working : wall;
    return STATUS_OK;
}

enum status bench_latency(const struct bench *bench, const struct network *network,
                          const struct subnetwork *sub, struct stopwatch_result *result) {
    struct timed timed = {.alone = bench_alone(bench)};
    const struct stopwatch watch = {timed_run, &timed};
    enum status status;
    TRY_CLEANUP(deployed_create(&timed.deployed, network, sub, bench));
    TRY_CLEANUP(deployed_fill(&timed.deployed, bench));
    TRY_CLEANUP(stopwatch_measure(&watch, &bench->latency, result));
    if (timed.alone && timed.working < timed.wall)
        result->waited = 1 - timed.working / timed.wall;
done:
    deployed_release(&timed.deployed);
    return status == STATUS_OK ? status : fail_in(status, "latency");
}

enum status bench_memory(const struct bench *bench, const struct network *network,
                         const struct subnetwork *sub, double *bytes) {
    struct deployed deployed = {0};
    enum status status = deployed_create(&deployed, network, sub, bench);
    if (status == STATUS_OK)
        *bytes = (double)pass_bytes(deployed.pass);
    deployed_release(&deployed);
    return status == STATUS_OK ? status : fail_in(status, "memory");
}
