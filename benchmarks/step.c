/* One training step of ordered dropout: forward, backward, SGD update, on synthetic pictures.
 *
 *   bench_step NETWORK.yaml THREADS GROUPS per_group|shared full|uniform STEPS
 *              [batch=N] [device=cuda] [precision=fp32] [backend=FILE] [profile] [cold]
 *
 * Prints one JSON row; with `profile` also a table per operation: its time, multiplications and
 * bytes. One thread of the
 * CPU: process CPU time, else wall time, as the peers in peers/ do. Sub-networks are drawn anew
 * before each step, outside the timing (cold: and nothing warms up); pictures lie where the
 * operations are. */
#include "config/config.h"
#include "supernet/backend.h"
#include "support/memory.h"
#include "training_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 4 };

struct bench {
    struct network network;
    struct training_step step;
    int threads;
    bool profile, cold;
};

static void print_profile(const struct bench *bench, int steps) {
    enum { MOST = 256 };
    struct pass_profile_row rows[MOST];
    int count = pass_profile_rows(bench->step.pass, rows, MOST);
    for (int i = 0; i < count; i++)
        printf("  %-10s %-14s %-8s %8.2f us/image %8.3f M MACs %8.1f KB\n", rows[i].layer,
               rows[i].operation, rows[i].backward ? "backward" : "forward",
               1e6 * rows[i].seconds / steps / bench->step.images,
               rows[i].macs / bench->step.images / 1e6, rows[i].bytes / bench->step.images / 1e3);
}

static const char usage[] = "bench_step NETWORK.yaml THREADS GROUPS per_group|shared full|uniform "
                            "STEPS [batch=N] [device=cuda] [precision=fp32] [backend=FILE] "
                            "[profile] [cold]";

static enum status read_words(struct bench *bench, int argc, char **argv) {
    enum device device = DEVICE_CPU;
    enum precision precision = PRECISION_BF16;
    const char *file = "";
    char reason[BACKEND_REASON];
    bench->step.images = 64;
    for (int i = 7; i < argc; i++) {
        if (strncmp(argv[i], "batch=", 6) == 0)
            bench->step.images = atoi(argv[i] + 6);
        else if (strcmp(argv[i], "device=cuda") == 0)
            device = DEVICE_CUDA;
        else if (strcmp(argv[i], "precision=fp32") == 0)
            precision = PRECISION_FP32;
        else if (strncmp(argv[i], "backend=", 8) == 0)
            device = DEVICE_CUDA, file = argv[i] + 8;
        else if (strcmp(argv[i], "profile") == 0)
            bench->profile = true;
        else if (strcmp(argv[i], "cold") == 0)
            bench->cold = true;
        else
            return fail(STATUS_USAGE, "%s", usage);
    }
    return backend_choose(device, file, precision, &bench->step.ops, reason);
}

static enum status read_arguments(struct bench *bench, int argc, char **argv) {
    struct training_step *step = &bench->step;
    if (argc < 7)
        return fail(STATUS_USAGE, "%s", usage);
    TRY(read_words(bench, argc, argv));
    bench->threads = atoi(argv[2]);
    step->groups = atoi(argv[3]);
    step->full = strcmp(argv[5], "full") == 0;
    step->network = &bench->network;
    if (bench->threads < 1 || step->images < 1 || step->images > MOST_IMAGES || step->groups < 1 ||
        step->images % step->groups != 0 || atoi(argv[6]) < 1)
        return fail(STATUS_USAGE, "threads and steps are at least 1, groups divide the batch");
    return network_read(&bench->network, argv[1]);
}

static enum status measure(struct bench *bench, double *times, int steps) {
    struct training_step *step = &bench->step;
    bool one = bench->threads == 1 && !step->ops->memory->separate;
    clockid_t clock = one ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    int warm_up = bench->cold ? 0 : WARM_UP;
    for (int s = -warm_up; s < steps; s++) {
        TRY(training_step_draw(step, s + warm_up));
        if (s == 0 && bench->profile)
            TRY(pass_profile(step->pass, true));
        TRY(step->ops->memory->finish());
        double start = clock_seconds(clock);
        TRY(training_step_gradient(step));
        TRY(training_step_update(step));
        if (s >= 0)
            times[s] = clock_seconds(clock) - start;
    }
    return STATUS_OK;
}

static enum status run(int argc, char **argv) {
    static struct bench bench;
    struct training_step *step = &bench.step;
    struct pool *pool;
    double *times;
    TRY(read_arguments(&bench, argc, argv));
    int steps = atoi(argv[6]);
    TRY(pool_create(&pool, bench.threads));
    TRY(allocate(&times, (size_t)steps, sizeof *times, "times"));
    TRY(training_step_create(step, pool, strcmp(argv[4], "shared") == 0));
    TRY(measure(&bench, times, steps));
    double median = median_of_times(times, steps);
    printf("{\"benchmark\": \"step\", \"network\": \"%s\", \"device\": \"%s\", \"threads\": %d, "
           "\"groups\": %d, \"norm\": \"%s\", \"widths\": \"%s\", \"batch\": %d, \"steps\": %d, "
           "\"images_per_second\": {\"median\": %.0f, \"best\": %.0f}, \"bytes\": %zu}\n",
           argv[1], step->ops->name, bench.threads, step->groups, argv[4], argv[5], step->images,
           steps, step->images / median, step->images / times[0], pass_bytes(step->pass));
    if (bench.profile)
        print_profile(&bench, steps);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
