/* Every operation of a network by itself: its time, and the share that it reaches of the speed of a
 * copy, on random operands in the backend's memory.
 *
 *   bench_operations [network=FILE] [batch=128] [groups=16] [sets=8] [calls=20] [repetitions=7]
 *                    [copy=MIB] [device=cuda|cpu] [precision=bf16|fp32] [backend=FILE] [only=NAME]
 *
 * As one group of full widths, as `groups` groups of random widths, and combine also with channel
 * bypass instead of the residual. Rotates through `sets` operand sets. Where the backend can
 * record, `calls` calls are one recording, so that launching is not measured. Bytes: every tensor
 * once, see supernet/work.h. Prints a JSON row per operation and a summary per kind of operation.
 */
#include "config/config.h"
#include "operation_rows.h"
#include "supernet/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_REPETITIONS = 101 };

struct bench {
    const char *network_file, *backend, *only;
    int images, groups, set_count, calls, repetitions, copy_megabytes;
    enum device device;
    enum precision precision;

    const struct ops *ops;
    struct operand_sets sets;
    struct operation_bench rows;
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------------ the clock */

static enum status measure_copy(struct bench *bench) {
    enum { COPIES = 8 };
    const struct memory *memory = bench->ops->memory;
    size_t bytes = (size_t)bench->copy_megabytes << 20;
    void *from = NULL, *to = NULL;
    double times[MOST_REPETITIONS];
    TRY(memory->take(&from, bytes, "a copy"));
    TRY(memory->take(&to, bytes, "a copy"));
    for (int r = -1; r < bench->repetitions; r++) {
        TRY(memory->finish());
        double start = seconds();
        for (int i = 0; i < COPIES; i++)
            TRY(memory->copy(to, from, bytes));
        TRY(memory->finish());
        if (r >= 0)
            times[r] = (seconds() - start) / COPIES;
    }
    memory->give_back(from);
    memory->give_back(to);
    bench->rows.copy_speed = 2 * (double)bytes / median_of(times, bench->repetitions);
    printf("{\"benchmark\": \"copy\", \"device\": \"%s\", \"bytes\": %.0f, "
           "\"terabytes_per_second\": %.3f}\n",
           bench->ops->name, 2 * (double)bytes, bench->rows.copy_speed / 1e12);
    return STATUS_OK;
}

static enum status call_all(const struct bench *bench, int step, enum call call) {
    for (int i = 0; i < bench->calls; i++)
        TRY(operand_sets_call(&bench->sets, i % bench->set_count, step, call));
    return STATUS_OK;
}

/* How often a recording is replayed for one reading of the clock. */
enum { REPLAYS = 4 };

static enum status repeat(const struct bench *bench, int step, enum call call,
                          struct recording *recording, double *result) {
    const struct memory *memory = bench->ops->memory;
    double times[MOST_REPETITIONS];
    int replays = recording ? REPLAYS : 1;
    for (int r = -1; r < bench->repetitions; r++) {
        TRY(memory->finish());
        double start = seconds();
        for (int i = 0; i < replays; i++)
            TRY(recording ? memory->replay(recording) : call_all(bench, step, call));
        TRY(memory->finish());
        if (r >= 0)
            times[r] = (seconds() - start) / replays / bench->calls;
    }
    *result = median_of(times, bench->repetitions);
    return STATUS_OK;
}

static enum status time_call(const struct bench *bench, int step, enum call call, double *result) {
    const struct memory *memory = bench->ops->memory;
    struct recording *recording = NULL;
    if (memory->record_begin) {
        TRY(memory->record_begin());
        enum status status = call_all(bench, step, call);
        enum status ended = memory->record_end(&recording);
        TRY(status);
        TRY(ended);
    }
    enum status status = repeat(bench, step, call, recording, result);
    if (recording)
        memory->recording_release(recording);
    return status;
}

/* ------------------------------------------------------------------ all operations */

static enum status measure_call(const struct bench *bench, int index, enum call call,
                                struct operation_row *rows, int *count) {
    const struct pass *pass = bench->sets.passes[0];
    const struct step *step = &pass->steps[index];
    struct operation_row row = {.layer = pass->network->layers[step->layer].name, .call = call};
    operation_row_name(step, &row);
    bool wanted = bench->only == NULL || strstr(row.kind, bench->only);
    if (!wanted || !call_exists(step, call) || *count == MOST_ROWS)
        return STATUS_OK;
    operation_row_count(pass, step, &row);
    TRY(time_call(bench, index, call, &row.time));
    operation_row_print(&bench->rows, step, &row);
    rows[(*count)++] = row;
    return STATUS_OK;
}

/* In the order of a training step: a batch-norm finds the sums that the operation before it left.
 */
static enum status measure_steps(const struct bench *bench) {
    static struct operation_row rows[MOST_ROWS];
    int count = 0, steps = bench->sets.passes[0]->step_count;
    for (int step = 0; step < steps; step++)
        for (enum call call = CALL_PREPARE; call <= CALL_NORM_FORWARD; call++)
            TRY(measure_call(bench, step, call, rows, &count));
    for (int step = steps - 1; step >= 0; step--)
        for (enum call call = CALL_NORM_BACKWARD; call <= CALL_BACKWARD; call++)
            TRY(measure_call(bench, step, call, rows, &count));
    operation_rows_summary(&bench->rows, rows, count);
    return STATUS_OK;
}

static enum status measure(struct bench *bench, const struct network *network, int groups,
                           const char *widths) {
    bench->rows.widths = widths;
    bench->rows.groups = groups;
    enum status status = operand_sets_create(&bench->sets, bench->set_count, network, bench->ops,
                                             bench->images, groups, strcmp(widths, "full") != 0);
    if (status == STATUS_OK)
        status = measure_steps(bench);
    operand_sets_release(&bench->sets);
    return status;
}

/* Channel bypass in the place of every residual. */
static enum status measure_bypass(struct bench *bench, struct network *network) {
    for (int i = 0; i < network->layer_count; i++) {
        struct layer *layer = &network->layers[i];
        if (layer->kind == LAYER_BLOCK && layer->residual) {
            layer->residual = false;
            layer->bypass = network->choices[layer->width].options[0];
        }
    }
    TRY(network_check(network));
    bench->only = "combine bypass";
    return measure(bench, network, bench->groups, "uniform");
}

/* ------------------------------------------------------------------ arguments */

static const char usage[] =
    "bench_operations [network=FILE] [batch=N] [groups=N] [sets=N] [calls=N] [repetitions=N] "
    "[copy=MIB] [device=cuda|cpu] [precision=bf16|fp32] [backend=FILE] [only=NAME]";

static bool read_word(struct bench *bench, const char *word) {
    const struct {
        const char *name;
        const char **text;
        int *number;
    } words[] = {{"network=", &bench->network_file, NULL},
                 {"backend=", &bench->backend, NULL},
                 {"only=", &bench->only, NULL},
                 {"batch=", NULL, &bench->images},
                 {"groups=", NULL, &bench->groups},
                 {"sets=", NULL, &bench->set_count},
                 {"calls=", NULL, &bench->calls},
                 {"repetitions=", NULL, &bench->repetitions},
                 {"copy=", NULL, &bench->copy_megabytes}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].name);
        if (strncmp(word, words[i].name, length) != 0)
            continue;
        if (words[i].text)
            *words[i].text = word + length;
        else
            *words[i].number = atoi(word + length);
        return true;
    }
    if (strcmp(word, "device=cuda") == 0 || strcmp(word, "device=cpu") == 0)
        bench->device = strcmp(word, "device=cuda") == 0 ? DEVICE_CUDA : DEVICE_CPU;
    else if (strcmp(word, "precision=fp32") == 0 || strcmp(word, "precision=bf16") == 0)
        bench->precision = strcmp(word, "precision=fp32") == 0 ? PRECISION_FP32 : PRECISION_BF16;
    else
        return false;
    return true;
}

static enum status read_arguments(struct bench *bench, int argc, char **argv) {
    char reason[BACKEND_REASON];
    for (int i = 1; i < argc; i++)
        if (!read_word(bench, argv[i]))
            return fail(STATUS_USAGE, "%s", usage);
    if (bench->groups < 1 || bench->images < 1 || bench->images % bench->groups != 0 ||
        bench->set_count < 1 || bench->set_count > MOST_SETS || bench->calls < bench->set_count ||
        bench->repetitions < 1 || bench->repetitions > MOST_REPETITIONS ||
        bench->copy_megabytes < 1)
        return fail(STATUS_USAGE,
                    "groups divide the batch; at most %d sets, each called at least once; at most "
                    "%d repetitions",
                    MOST_SETS, MOST_REPETITIONS);
    return backend_choose(bench->device, bench->backend, bench->precision, &bench->ops, reason);
}

static enum status run(int argc, char **argv) {
    struct bench bench = {.network_file = "benchmarks/mobilenet-v3.yaml",
                          .backend = "",
                          .images = 128,
                          .groups = 16,
                          .set_count = 8,
                          .calls = 20,
                          .repetitions = 7,
                          .copy_megabytes = 1024,
                          .device = DEVICE_CUDA,
                          .precision = PRECISION_BF16};
    struct network network;
    TRY(read_arguments(&bench, argc, argv));
    TRY(network_read(&network, bench.network_file));
    bench.rows.sets = &bench.sets;
    bench.rows.device = bench.ops->name;
    bench.rows.images = bench.images;
    TRY(measure_copy(&bench));
    enum status status = measure(&bench, &network, 1, "full");
    if (status == STATUS_OK)
        status = measure(&bench, &network, bench.groups, "uniform");
    bool bypass = bench.only == NULL || strstr("combine bypass", bench.only);
    if (status == STATUS_OK && bypass)
        status = measure_bypass(&bench, &network);
    network_release(&network);
    return status;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
