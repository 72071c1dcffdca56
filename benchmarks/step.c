/* One training step of ordered dropout: forward, backward, SGD update, on synthetic pictures.
 *
 *   bench_step NETWORK.yaml THREADS GROUPS per_group|shared full|uniform STEPS [profile]
 *
 * Prints one JSON row; with `profile` also a table per operation: its time, and the floor counted
 * for the same draws, as shares of the full-width pass are made from two runs. One thread: process
 * CPU time, else wall time, as the peer in peers/ does. Sub-networks are drawn anew before each
 * step, outside the timing. */
#include "config/config.h"
#include "supernet/pass.h"
#include "supernet/sampler.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64, WARM_UP = 4 };

struct bench {
    struct network network;
    struct pass *pass;
    struct pass_batch batch;
    real *weights, *gradient, *velocity;
    struct subnetwork subs[BATCH];
    int threads, groups;
    bool full;
};

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum status fill(struct bench *bench, struct pool *pool, bool shared) {
    struct pass_options options = {.images = BATCH,
                                   .groups = bench->groups,
                                   .backward = true,
                                   .shared_norm = shared,
                                   .epsilon = 1e-5f,
                                   .mean = {.5f, .5f, .5f},
                                   .deviation = {.25f, .25f, .25f}};
    TRY(pass_create(&bench->pass, &bench->network, ops_cpu(), pool, &options));
    const struct parameters *parameters = pass_parameters(bench->pass);
    TRY(allocate(&bench->weights, parameters->size, sizeof(real), "weights"));
    TRY(allocate(&bench->gradient, parameters->size, sizeof(real), "gradients"));
    TRY(allocate(&bench->velocity, parameters->size, sizeof(real), "velocities"));
    parameters_initialise(parameters, 1, bench->weights);
    size_t bytes = (size_t)bench->network.height * bench->network.width * bench->network.channels;
    uint8_t *pictures;
    int *labels;
    TRY(allocate(&pictures, BATCH, bytes, "pictures"));
    TRY(allocate(&labels, BATCH, sizeof *labels, "labels"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < BATCH * bytes; i++)
        pictures[i] = (uint8_t)random_below(&random, 256);
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int)random_below(&random, (uint32_t)bench->network.classes);
    bench->batch = (struct pass_batch){.pictures = pictures, .labels = labels};
    return STATUS_OK;
}

static enum status draw(struct bench *bench, int step) {
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM};
    struct batch_group groups[BATCH];
    for (int g = 0; g < bench->groups; g++) {
        bench->subs[g] = bench->full ? subnetwork_largest(&bench->network)
                                     : sampler_draw(&sampler, &bench->network,
                                                    (uint64_t)step * bench->groups + g, 0);
        groups[g] = (struct batch_group){&bench->subs[g], BATCH / bench->groups};
    }
    return pass_set_groups(bench->pass, groups, bench->groups);
}

static enum status step(struct bench *bench) {
    struct pass_result result;
    struct update update = {.kind = OPTIMISER_SGD, .rate = 0.05f, .momentum = 0.9f, .decay = 1e-4f};
    TRY(pass_set_parameters(bench->pass, bench->weights));
    TRY(pass_forward_backward(bench->pass, &bench->batch, bench->gradient, &result));
    return ops_cpu()->update(&update, pass_parameters(bench->pass)->size, bench->weights,
                             bench->gradient, bench->velocity, NULL);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_profile(const struct bench *bench, int steps) {
    enum { MOST = 256 };
    struct pass_profile_row rows[MOST];
    int count = pass_profile_rows(bench->pass, rows, MOST);
    for (int i = 0; i < count; i++)
        printf("  %-10s %-14s %-8s %8.2f us/image %8.3f M MACs %8.1f KB\n", rows[i].layer,
               rows[i].operation, rows[i].backward ? "backward" : "forward",
               1e6 * rows[i].seconds / steps / BATCH, rows[i].macs / BATCH / 1e6,
               rows[i].bytes / BATCH / 1e3);
}

static enum status run(int argc, char **argv) {
    static struct bench bench;
    if (argc < 7)
        return fail(STATUS_USAGE, "bench_step NETWORK.yaml THREADS GROUPS per_group|shared "
                                  "full|uniform STEPS [profile]");
    bench.threads = atoi(argv[2]);
    bench.groups = atoi(argv[3]);
    bench.full = strcmp(argv[5], "full") == 0;
    int steps = atoi(argv[6]);
    if (bench.threads < 1 || bench.groups < 1 || BATCH % bench.groups != 0 || steps < 1)
        return fail(STATUS_USAGE, "threads and steps are at least 1, groups divide %d", BATCH);
    struct pool *pool;
    double *times;
    TRY(network_read(&bench.network, argv[1]));
    TRY(pool_create(&pool, bench.threads));
    TRY(allocate(&times, (size_t)steps, sizeof *times, "times"));
    TRY(fill(&bench, pool, strcmp(argv[4], "shared") == 0));
    clockid_t clock = bench.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    for (int s = -WARM_UP; s < steps; s++) {
        TRY(draw(&bench, s + WARM_UP));
        if (s == 0 && argc > 7)
            TRY(pass_profile(bench.pass, true));
        double start = seconds(clock);
        TRY(step(&bench));
        if (s >= 0)
            times[s] = seconds(clock) - start;
    }
    qsort(times, (size_t)steps, sizeof *times, by_value);
    printf("{\"benchmark\": \"step\", \"network\": \"%s\", \"threads\": %d, \"groups\": %d, "
           "\"norm\": \"%s\", \"widths\": \"%s\", \"batch\": %d, \"steps\": %d, "
           "\"images_per_second\": {\"median\": %.0f, \"best\": %.0f}}\n",
           argv[1], bench.threads, bench.groups, argv[4], argv[5], BATCH, steps,
           BATCH / times[steps / 2], BATCH / times[0]);
    if (argc > 7)
        print_profile(&bench, steps);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
