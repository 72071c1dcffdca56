/* What metrics work with that are measured here: a device and how to use it. */
#ifndef TAPER_BENCH_H
#define TAPER_BENCH_H

#include "metric/latency_config.h"
#include "metric/stopwatch.h"
#include "report/log.h"
#include "supernet/pass.h"

struct bench {
    const struct ops *ops;
    struct latency_config latency;
    struct pass_options options; /* epsilon, mean and deviation count */
    char device[512];            /* what measures, with the versions of its driver and libraries */
    /* Of a search; else all empty. */
    char notebook[600]; /* file of what was measured before (notebook.h) */
    char search[32];    /* which it must have been measured for */
    bool notes;         /* what is measured now is written there, and told in the log */
    struct log *log;    /* NULL: nothing is told */
};

/* backend: the library of a device's operations, as backend_choose() has it. */
enum status bench_create(struct bench *bench, const struct ops *ops, const char *backend,
                         const struct latency_config *latency, const struct pass_options *options);

/* A sub-network as it would be deployed: a network of its own, batch-norms folded into the
 * convolutions, its pictures where operations read them. Weights are random: speed does not depend
 * on them, as they keep activations away from denormal numbers. */
struct deployed {
    const struct ops *ops;
    struct network network;
    struct pool *pool;
    struct pass *pass;
    uint8_t *pictures;
    struct pass_batch batch;
};
enum status deployed_create(struct deployed *deployed, const struct network *network,
                            const struct subnetwork *sub, const struct bench *bench);
/* Weights and pictures, before the first run. */
enum status deployed_fill(struct deployed *deployed, const struct bench *bench);
void deployed_release(struct deployed *deployed); /* a zeroed one is fine */
enum status deployed_run(struct deployed *deployed);

/* One thread of the CPU does all of a pass: only the time in which it has a processor counts. */
bool bench_alone(const struct bench *bench);
double bench_clock(bool alone); /* seconds, of that thread's time or of a clock */

/* The best series of its passes. */
enum status bench_latency(const struct bench *bench, const struct network *network,
                          const struct subnetwork *sub, struct stopwatch_result *result);
/* Bytes of activations and weights, these also as products read them, that its pass takes. */
enum status bench_memory(const struct bench *bench, const struct network *network,
                         const struct subnetwork *sub, double *bytes);

#endif
