/* One training step of ordered dropout: forward, backward, SGD update, on synthetic pictures.
 *
 *   bench_step NETWORK.yaml THREADS GROUPS per_group|shared full|uniform STEPS
 *              [batch=N] [device=cuda] [precision=fp32] [backend=FILE] [profile]
 *
 * Prints one JSON row; with `profile` also a table per operation: its time, and the floor counted
 * for the same draws, as shares of the full-width pass are made from two runs. One thread of the
 * CPU: process CPU time, else wall time, as the peers in peers/ do. Sub-networks are drawn anew
 * before each step, outside the timing; pictures lie where the operations are. */
#include "config/config.h"
#include "supernet/backend.h"
#include "supernet/pass.h"
#include "supernet/sampler.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_IMAGES = 1024, WARM_UP = 4 };

struct bench {
    struct network network;
    struct pass *pass;
    struct pass_batch batch;
    real *weights, *gradient, *velocity;
    struct subnetwork subs[MOST_IMAGES];
    const struct ops *ops;
    int threads, groups, images;
    bool full, profile;
};

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum status take(const struct bench *bench, void *memory, size_t bytes,
                        const void *content) {
    void *taken = NULL;
    TRY(bench->ops->memory->take(&taken, bytes, "the benchmark"));
    memcpy(memory, &taken, sizeof taken);
    return content ? bench->ops->memory->copy(taken, content, bytes) : STATUS_OK;
}

static enum status fill_vectors(struct bench *bench) {
    const struct parameters *parameters = pass_parameters(bench->pass);
    size_t bytes = (parameters->size + READ_SLACK) * sizeof(real);
    real *weights;
    TRY(allocate(&weights, bytes, 1, "weights"));
    parameters_initialise(parameters, 1, weights);
    TRY(take(bench, &bench->weights, bytes, weights));
    TRY(take(bench, &bench->gradient, bytes, NULL));
    free(weights);
    return take(bench, &bench->velocity, bytes, NULL);
}

static enum status fill_batch(struct bench *bench) {
    size_t bytes = (size_t)bench->network.height * bench->network.width * bench->network.channels *
                   bench->images;
    uint8_t *pictures;
    int labels[MOST_IMAGES];
    TRY(allocate(&pictures, bytes, 1, "pictures"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < bytes; i++)
        pictures[i] = (uint8_t)random_below(&random, 256);
    for (int i = 0; i < bench->images; i++)
        labels[i] = (int)random_below(&random, (uint32_t)bench->network.classes);
    TRY(take(bench, &bench->batch.pictures, bytes, pictures));
    TRY(take(bench, &bench->batch.labels, bench->images * sizeof(int), labels));
    free(pictures);
    return bench->ops->memory->finish();
}

static enum status fill(struct bench *bench, struct pool *pool, bool shared) {
    struct pass_options options = {.images = bench->images,
                                   .groups = bench->groups,
                                   .backward = true,
                                   .shared_norm = shared,
                                   .epsilon = 1e-5f,
                                   .mean = {.5f, .5f, .5f},
                                   .deviation = {.25f, .25f, .25f}};
    TRY(pass_create(&bench->pass, &bench->network, bench->ops, pool, &options));
    TRY(fill_vectors(bench));
    return fill_batch(bench);
}

static enum status draw(struct bench *bench, int step) {
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM};
    struct batch_group groups[MOST_IMAGES];
    for (int g = 0; g < bench->groups; g++) {
        bench->subs[g] = bench->full ? subnetwork_largest(&bench->network)
                                     : sampler_draw(&sampler, &bench->network,
                                                    (uint64_t)step * bench->groups + g, 0);
        groups[g] = (struct batch_group){&bench->subs[g], bench->images / bench->groups};
    }
    return pass_set_groups(bench->pass, groups, bench->groups);
}

static enum status step(struct bench *bench) {
    struct pass_result result;
    struct update update = {.kind = OPTIMISER_SGD, .rate = 0.05f, .momentum = 0.9f, .decay = 1e-4f};
    TRY(pass_set_parameters(bench->pass, bench->weights));
    TRY(pass_forward_backward(bench->pass, &bench->batch, bench->gradient, &result));
    TRY(bench->ops->update(&update, pass_parameters(bench->pass)->size, bench->weights,
                           bench->gradient, bench->velocity, NULL));
    return bench->ops->memory->finish();
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
               1e6 * rows[i].seconds / steps / bench->images, rows[i].macs / bench->images / 1e6,
               rows[i].bytes / bench->images / 1e3);
}

static const char usage[] = "bench_step NETWORK.yaml THREADS GROUPS per_group|shared full|uniform "
                            "STEPS [batch=N] [device=cuda] [precision=fp32] [backend=FILE] "
                            "[profile]";

static enum status read_words(struct bench *bench, int argc, char **argv) {
    enum device device = DEVICE_CPU;
    enum precision precision = PRECISION_BF16;
    const char *file = "";
    char reason[BACKEND_REASON];
    bench->images = 64;
    for (int i = 7; i < argc; i++) {
        if (strncmp(argv[i], "batch=", 6) == 0)
            bench->images = atoi(argv[i] + 6);
        else if (strcmp(argv[i], "device=cuda") == 0)
            device = DEVICE_CUDA;
        else if (strcmp(argv[i], "precision=fp32") == 0)
            precision = PRECISION_FP32;
        else if (strncmp(argv[i], "backend=", 8) == 0)
            device = DEVICE_CUDA, file = argv[i] + 8;
        else if (strcmp(argv[i], "profile") == 0)
            bench->profile = true;
        else
            return fail(STATUS_USAGE, "%s", usage);
    }
    return backend_choose(device, file, precision, &bench->ops, reason);
}

static enum status read_arguments(struct bench *bench, int argc, char **argv) {
    if (argc < 7)
        return fail(STATUS_USAGE, "%s", usage);
    TRY(read_words(bench, argc, argv));
    bench->threads = atoi(argv[2]);
    bench->groups = atoi(argv[3]);
    bench->full = strcmp(argv[5], "full") == 0;
    if (bench->threads < 1 || bench->images < 1 || bench->images > MOST_IMAGES ||
        bench->groups < 1 || bench->images % bench->groups != 0 || atoi(argv[6]) < 1)
        return fail(STATUS_USAGE, "threads and steps are at least 1, groups divide the batch");
    return network_read(&bench->network, argv[1]);
}

static enum status measure(struct bench *bench, double *times, int steps) {
    bool one = bench->threads == 1 && !bench->ops->memory->separate;
    clockid_t clock = one ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    for (int s = -WARM_UP; s < steps; s++) {
        TRY(draw(bench, s + WARM_UP));
        if (s == 0 && bench->profile)
            TRY(pass_profile(bench->pass, true));
        TRY(bench->ops->memory->finish());
        double start = seconds(clock);
        TRY(step(bench));
        if (s >= 0)
            times[s] = seconds(clock) - start;
    }
    qsort(times, (size_t)steps, sizeof *times, by_value);
    return STATUS_OK;
}

static enum status run(int argc, char **argv) {
    static struct bench bench;
    struct pool *pool;
    double *times;
    TRY(read_arguments(&bench, argc, argv));
    int steps = atoi(argv[6]);
    TRY(pool_create(&pool, bench.threads));
    TRY(allocate(&times, (size_t)steps, sizeof *times, "times"));
    TRY(fill(&bench, pool, strcmp(argv[4], "shared") == 0));
    TRY(measure(&bench, times, steps));
    printf("{\"benchmark\": \"step\", \"network\": \"%s\", \"device\": \"%s\", \"threads\": %d, "
           "\"groups\": %d, \"norm\": \"%s\", \"widths\": \"%s\", \"batch\": %d, \"steps\": %d, "
           "\"images_per_second\": {\"median\": %.0f, \"best\": %.0f}, \"bytes\": %zu}\n",
           argv[1], bench.ops->name, bench.threads, bench.groups, argv[4], argv[5], bench.images,
           steps, bench.images / times[steps / 2], bench.images / times[0], pass_bytes(bench.pass));
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
