#include "metric/layer_times.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST = 10,
    TURN = 10 /* passes of a kind, then of the other */,
    MOST_ROWS = 8 * MAX_LAYERS
};

struct watched {
    struct deployed deployed;
    bool alone;
    int layers, room, count; /* passes of each kind */
    double spent;            /* seconds, in all */
    double *plain, *clocked; /* seconds of passes without and with clocks inside */
    double *parts;           /* [layer][room] of the latter */
};

static enum status run_once(struct watched *watched, double *seconds) {
    double begin = bench_clock(watched->alone);
    TRY(deployed_run(&watched->deployed));
    *seconds = bench_clock(watched->alone) - begin;
    watched->spent += *seconds;
    return STATUS_OK;
}

static void take_parts(struct watched *watched, int number) {
    struct pass_profile_row rows[MOST_ROWS];
    const struct network *network = &watched->deployed.network;
    int count = pass_profile_rows(watched->deployed.pass, rows, MOST_ROWS), layer = 0;
    for (int i = 0; i < watched->layers; i++)
        watched->parts[(size_t)i * watched->room + number] = 0;
    for (int i = 0; i < count; i++) { /* in the order of the layers */
        while (layer < watched->layers - 1 && strcmp(rows[i].layer, network->layers[layer].name))
            layer++;
        watched->parts[(size_t)layer * watched->room + number] += rows[i].seconds;
    }
}

static enum status run_clocked(struct watched *watched, int number) {
    struct pass *pass = watched->deployed.pass;
    TRY(pass_profile(pass, true)); /* sets the times back */
    TRY(run_once(watched, &watched->clocked[number]));
    take_parts(watched, number);
    return STATUS_OK;
}

static enum status take_turns(struct watched *watched, const struct latency_config *config) {
    double warm;
    for (int i = 0; i < 3; i++)
        TRY(run_once(watched, &warm));
    while (watched->count < watched->room &&
           (watched->count < FEWEST || watched->spent < config->seconds)) {
        int end = watched->count + TURN < watched->room ? watched->count + TURN : watched->room;
        for (int i = watched->count; i < end; i++)
            TRY(run_clocked(watched, i));
        TRY(pass_profile(watched->deployed.pass, false));
        for (int i = watched->count; i < end; i++)
            TRY(run_once(watched, &watched->plain[i]));
        watched->count = end;
    }
    return STATUS_OK;
}

static double median_value(double *numbers, int count) {
    median_sort(numbers, count);
    return median_of(numbers, count).value;
}

static void summarise(struct watched *watched, struct layer_times *times) {
    double clocked = median_value(watched->clocked, watched->count), sum = 0;
    times->whole = median_value(watched->plain, watched->count);
    for (int i = 0; i < watched->layers; i++)
        sum += times->layers[i] =
            median_value(watched->parts + (size_t)i * watched->room, watched->count);
    double scale = times->whole / sum;
    if (watched->alone)
        scale = fmin(scale, times->whole / clocked);
    for (int i = 0; i < watched->layers; i++)
        times->layers[i] *= scale;
    times->rest = fmax(0, times->whole - scale * sum);
}

static enum status take_room(struct watched *watched, const struct latency_config *config) {
    size_t room = (size_t)(watched->room = config->repetitions);
    TRY(allocate(&watched->plain, room, sizeof(double), "times of passes"));
    TRY(allocate(&watched->clocked, room, sizeof(double), "times of passes"));
    return allocate(&watched->parts, room * (size_t)watched->layers, sizeof(double),
                    "times of layers");
}

enum status layer_times_measure(const struct bench *bench, const struct network *network,
                                const struct subnetwork *sub, struct layer_times *times) {
    struct watched watched = {.alone = bench_alone(bench), .layers = network->layer_count};
    enum status status;
    *times = (struct layer_times){0};
    TRY_CLEANUP(take_room(&watched, &bench->latency));
    TRY_CLEANUP(deployed_create(&watched.deployed, network, sub, bench));
    TRY_CLEANUP(deployed_fill(&watched.deployed, bench));
    TRY_CLEANUP(take_turns(&watched, &bench->latency));
    summarise(&watched, times);
    if (!isfinite(times->whole + times->rest + times->layers[0]) || !(times->whole > 0))
        status = fail(STATUS_FAILED, "the clock of this machine shows no time");
done:
    deployed_release(&watched.deployed);
    free(watched.plain);
    free(watched.clocked);
    free(watched.parts);
    return status == STATUS_OK ? status : fail_in(status, "latency of layers");
}
