#include "metric/layer_times.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST = 10,
    TURN = 10 /* passes of a kind, then of the other */,
    REFERENCES = 4 /* in a turn, and one before them to warm up */,
    MOST_ROWS = 8 * MAX_LAYERS
};

struct watched {
    struct deployed deployed, *reference;
    bool alone;
    int layers, room, count;     /* passes of each kind */
    double spent;                /* seconds, in all */
    double *plain, *clocked;     /* seconds of passes without and with clocks inside */
    double *parts;               /* [layer][room] of the latter */
    double *ratios, *references; /* [turn]: of a plain pass to the reference's; its seconds */
    int turns;
};

static double median_value(double *numbers, int count) {
    median_sort(numbers, count);
    return median_of(numbers, count).value;
}

static enum status run_once(struct watched *watched, struct deployed *deployed, double *seconds) {
    double begin = bench_clock(watched->alone);
    TRY(deployed_run(deployed));
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
    TRY(run_once(watched, &watched->deployed, &watched->clocked[number]));
    take_parts(watched, number);
    return STATUS_OK;
}

/* How the plain passes of this turn, from `first` on, compare with the reference. */
static enum status compare_turn(struct watched *watched, int first, int end) {
    double seconds[REFERENCES], plain[TURN];
    TRY(run_once(watched, watched->reference, &seconds[0]));
    for (int i = 0; i < REFERENCES; i++)
        TRY(run_once(watched, watched->reference, &seconds[i]));
    double reference = median_value(seconds, REFERENCES);
    memcpy(plain, watched->plain + first, (size_t)(end - first) * sizeof *plain);
    watched->references[watched->turns] = reference;
    watched->ratios[watched->turns++] = median_value(plain, end - first) / reference;
    return STATUS_OK;
}

static enum status take_turns(struct watched *watched, const struct latency_config *config) {
    double warm;
    for (int i = 0; i < 3; i++)
        TRY(run_once(watched, &watched->deployed, &warm));
    while (watched->count < watched->room &&
           (watched->count < FEWEST || watched->spent < config->seconds)) {
        int end = watched->count + TURN < watched->room ? watched->count + TURN : watched->room;
        for (int i = watched->count; i < end; i++)
            TRY(run_clocked(watched, i));
        TRY(pass_profile(watched->deployed.pass, false));
        for (int i = watched->count; i < end; i++)
            TRY(run_once(watched, &watched->deployed, &watched->plain[i]));
        TRY(compare_turn(watched, watched->count, end));
        watched->count = end;
    }
    return STATUS_OK;
}

static void summarise(struct watched *watched, struct layer_times *times) {
    double clocked = median_value(watched->clocked, watched->count), sum = 0;
    times->reference = median_value(watched->references, watched->turns);
    times->whole = median_value(watched->ratios, watched->turns) * times->reference;
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
    TRY(allocate(&watched->ratios, room, sizeof(double), "times of passes"));
    TRY(allocate(&watched->references, room, sizeof(double), "times of passes"));
    TRY(allocate(&watched->clocked, room, sizeof(double), "times of passes"));
    return allocate(&watched->parts, room * (size_t)watched->layers, sizeof(double),
                    "times of layers");
}

enum status layer_times_reference(const struct bench *bench, const struct network *network,
                                  struct deployed *reference) {
    const struct subnetwork largest = subnetwork_largest(network);
    TRY(deployed_create(reference, network, &largest, bench));
    enum status status = deployed_fill(reference, bench);
    if (status != STATUS_OK)
        deployed_release(reference);
    return status;
}

enum status layer_times_measure(const struct bench *bench, const struct network *network,
                                const struct subnetwork *sub, struct deployed *reference,
                                struct layer_times *times) {
    struct watched watched = {
        .reference = reference, .alone = bench_alone(bench), .layers = network->layer_count};
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
    free(watched.ratios);
    free(watched.references);
    free(watched.plain);
    free(watched.clocked);
    free(watched.parts);
    return status == STATUS_OK ? status : fail_in(status, "latency of layers");
}
