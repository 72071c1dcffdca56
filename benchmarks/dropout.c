/* What ordered dropout costs, on the CPU: images of a batch run through drawn sub-networks.
 *
 *   bench_dropout floor NETWORK.yaml THREADS GROUPS per_group|shared STEPS
 *   bench_dropout passes NETWORK.yaml THREADS GROUPS IMAGES STEPS
 *
 * floor: the drawn pass against the full-width pass of the same batch, in turns. Per operation the
 * floor is the full-width time multiplied by the larger of two kept shares, multiplications and
 * bytes (supernet/work.h), counted for the same draws. A table, then a JSON row with the ratio of
 * the times as it is, and of the time to the floor.
 *
 * passes: GROUPS sub-networks of IMAGES images each in one pass, against as many passes of one
 * sub-network whose gradients are added up; each way the optimiser steps once. In turns. The one
 * pass goes through all layers with one group before it takes the next (groups outside, layers
 * inside): what a layer leaves is still in a near cache when the next layer reads it.
 */
#include "config/config.h"
#include "supernet/backend.h"
#include "support/memory.h"
#include "training_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 2, MOST_ROWS = 256 };

struct bench {
    struct network network;
    const struct ops *ops;
    struct pool *pool;
    int steps;
};

static enum status create(const struct bench *bench, struct training_step *step, int images,
                          int groups, bool full, bool shared) {
    *step = (struct training_step){.network = &bench->network,
                                   .ops = bench->ops,
                                   .images = images,
                                   .groups = groups,
                                   .full = full};
    return training_step_create(step, bench->pool, shared);
}

/* ------------------------------------------------------------------ floor */

struct side {
    struct training_step step;
    struct pass_profile_row rows[MOST_ROWS]; /* summed over steps */
    int rows_count;
    double *times;
};

static enum status run_side(struct side *side, int number) {
    struct pass_profile_row rows[MOST_ROWS];
    TRY(training_step_draw(&side->step, number + WARM_UP));
    TRY(pass_profile(side->step.pass, true)); /* sets the times back */
    double start = clock_seconds(CLOCK_MONOTONIC);
    TRY(training_step_gradient(&side->step));
    double time = clock_seconds(CLOCK_MONOTONIC) - start;
    side->rows_count = pass_profile_rows(side->step.pass, rows, MOST_ROWS);
    if (number < 0)
        return STATUS_OK;
    side->times[number] = time;
    for (int i = 0; i < side->rows_count; i++) {
        struct pass_profile_row *row = &side->rows[i];
        row->layer = rows[i].layer, row->operation = rows[i].operation;
        row->backward = rows[i].backward;
        row->seconds += rows[i].seconds;
        row->macs += rows[i].macs;
        row->bytes += rows[i].bytes;
    }
    return STATUS_OK;
}

static double kept_share(const struct pass_profile_row *drawn,
                         const struct pass_profile_row *full) {
    double macs = full->macs > 0 ? drawn->macs / full->macs : 0;
    double bytes = full->bytes > 0 ? drawn->bytes / full->bytes : 0;
    return macs > bytes ? macs : bytes;
}

static void print_floor(const struct bench *bench, char **argv, struct side *full,
                        struct side *drawn) {
    double images = (double)bench->steps * full->step.images, floor = 0, sum = 0, sum_full = 0;
    printf("%-10s %-11s %-8s %9s %9s %7s %7s %9s\n", "layer", "operation", "", "full us",
           "drawn us", "MACs", "bytes", "of floor");
    for (int i = 0; i < full->rows_count; i++) {
        const struct pass_profile_row *f = &full->rows[i], *d = &drawn->rows[i];
        double share = kept_share(d, f);
        printf("%-10s %-11s %-8s %9.2f %9.2f %6.0f%% %6.0f%% %9.2f\n", f->layer, f->operation,
               f->backward ? "backward" : "forward", 1e6 * f->seconds / images,
               1e6 * d->seconds / images, f->macs > 0 ? 100 * d->macs / f->macs : 0,
               100 * d->bytes / f->bytes, d->seconds / (share * f->seconds));
        floor += share * f->seconds;
        sum += d->seconds;
        sum_full += f->seconds;
    }
    printf("{\"benchmark\": \"ordered dropout against full widths\", \"network\": \"%s\", "
           "\"threads\": %s, \"groups\": %d, \"norm\": \"%s\", \"batch\": %d, \"steps\": %d, "
           "\"time_ratio\": %.3f, \"floor_ratio\": %.3f, \"time_of_floor\": %.3f}\n",
           argv[2], argv[3], full->step.groups, argv[5], full->step.images, bench->steps,
           median_of_times(drawn->times, bench->steps) / median_of_times(full->times, bench->steps),
           floor / sum_full, sum / floor);
}

static enum status measure_floor(struct bench *bench, char **argv) {
    static struct side full, drawn;
    bool shared = strcmp(argv[5], "shared") == 0;
    int groups = atoi(argv[4]);
    TRY(allocate(&full.times, bench->steps, sizeof *full.times, "times"));
    TRY(allocate(&drawn.times, bench->steps, sizeof *drawn.times, "times"));
    TRY(create(bench, &full.step, 64, groups, true, shared));
    TRY(create(bench, &drawn.step, 64, groups, false, shared));
    for (int s = -WARM_UP; s < bench->steps; s++) {
        TRY(run_side(&full, s));
        TRY(run_side(&drawn, s));
    }
    print_floor(bench, argv, &full, &drawn);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ passes */

static enum status step_in_one_pass(struct training_step *all) {
    TRY(training_step_gradient(all));
    return training_step_update(all);
}

/* `sum` holds the weights' gradient; the sub-networks are those that `all` was given. */
static enum status step_in_passes(struct training_step *one, const struct training_step *all,
                                  real *sum) {
    size_t size = pass_parameters(one->pass)->size;
    real *gradient = one->gradient;
    memset(sum, 0, size * sizeof *sum);
    for (int g = 0; g < all->groups; g++) {
        struct batch_group group = {&all->subs[g], one->images};
        TRY(pass_set_groups(one->pass, &group, 1));
        TRY(training_step_gradient(one));
        for (size_t i = 0; i < size; i++)
            sum[i] += gradient[i];
    }
    one->gradient = sum;
    enum status status = training_step_update(one);
    one->gradient = gradient;
    return status;
}

static enum status measure_passes(struct bench *bench, char **argv) {
    static struct training_step all, one;
    int groups = atoi(argv[4]), images = atoi(argv[5]);
    double *together, *apart;
    real *sum;
    TRY(allocate(&together, bench->steps, sizeof *together, "times"));
    TRY(allocate(&apart, bench->steps, sizeof *apart, "times"));
    TRY(create(bench, &all, groups * images, groups, false, false));
    TRY(create(bench, &one, images, 1, false, false));
    TRY(allocate(&sum, pass_parameters(one.pass)->size + READ_SLACK, sizeof *sum, "gradients"));
    for (int s = -WARM_UP; s < bench->steps; s++) {
        TRY(training_step_draw(&all, s + WARM_UP));
        double start = clock_seconds(CLOCK_MONOTONIC);
        TRY(step_in_one_pass(&all));
        double between = clock_seconds(CLOCK_MONOTONIC);
        TRY(step_in_passes(&one, &all, sum));
        double end = clock_seconds(CLOCK_MONOTONIC);
        if (s >= 0)
            together[s] = between - start, apart[s] = end - between;
    }
    double one_pass = median_of_times(together, bench->steps);
    double passes = median_of_times(apart, bench->steps);
    printf("{\"benchmark\": \"one pass against passes\", \"network\": \"%s\", \"threads\": %s, "
           "\"groups\": %d, \"images_per_group\": %d, \"steps\": %d, \"one_pass_ms\": %.2f, "
           "\"passes_ms\": %.2f, \"passes_of_one_pass\": %.3f}\n",
           argv[2], argv[3], groups, images, bench->steps, 1e3 * one_pass, 1e3 * passes,
           passes / one_pass);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ arguments */

static const char usage[] =
    "bench_dropout floor NETWORK.yaml THREADS GROUPS per_group|shared STEPS, or "
    "bench_dropout passes NETWORK.yaml THREADS GROUPS IMAGES STEPS";

static enum status run(int argc, char **argv) {
    static struct bench bench;
    char reason[BACKEND_REASON];
    bool floor = argc == 7 && strcmp(argv[1], "floor") == 0;
    bool passes = argc == 7 && strcmp(argv[1], "passes") == 0;
    if ((!floor && !passes) || atoi(argv[3]) < 1 || atoi(argv[4]) < 1 || atoi(argv[6]) < 1)
        return fail(STATUS_USAGE, "%s", usage);
    int images = floor ? 64 : atoi(argv[4]) * atoi(argv[5]);
    if (images < 1 || images > MOST_IMAGES || images % atoi(argv[4]) != 0)
        return fail(STATUS_USAGE, "a batch has 1 to %d images, a multiple of its groups",
                    MOST_IMAGES);
    bench.steps = atoi(argv[6]);
    TRY(network_read(&bench.network, argv[2]));
    TRY(backend_choose(DEVICE_CPU, "", PRECISION_FP32, &bench.ops, reason));
    TRY(pool_create(&bench.pool, atoi(argv[3])));
    return floor ? measure_floor(&bench, argv) : measure_passes(&bench, argv);
}

int main(int argc, char **argv) {
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
