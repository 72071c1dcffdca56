/* Every operation of a network by itself: its time, and the share that it reaches of the speed of a
 * copy, on random operands in the backend's memory.
 *
 *   bench_operations [network=FILE] [batch=128] [groups=16] [sets=8] [calls=20] [repetitions=7]
 *                    [copy=MIB] [device=cuda|cpu] [precision=bf16|fp32] [backend=FILE] [only=NAME]
 *
 * As one group of full widths, as `groups` groups of random widths, and combine also with channel
 * bypass instead of the residual. Rotates through `sets` operand sets. Where the backend can
 * record, `calls` calls are one recording, so that launching is not measured. Bytes: every tensor
 * once, see work.h. Prints a JSON row per operation and a summary per kind of operation. */
#include "config/config.h"
#include "operand_sets.h"
#include "supernet/backend.h"
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_REPETITIONS = 101, MOST_ROWS = 512, MOST_KIND = 64 };

struct bench {
    const char *network_file, *backend, *only;
    int images, groups, set_count, calls, repetitions, copy_megabytes;
    enum device device;
    enum precision precision;

    const struct ops *ops;
    double copy_speed; /* bytes a second, read and written */
    struct operand_sets sets;
    const char *widths; /* of the sets */
    int set_groups;
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
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
    bench->copy_speed = 2 * (double)bytes / median(times, bench->repetitions);
    printf("{\"benchmark\": \"copy\", \"device\": \"%s\", \"bytes\": %.0f, "
           "\"terabytes_per_second\": %.3f}\n",
           bench->ops->name, 2 * (double)bytes, bench->copy_speed / 1e12);
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
    *result = median(times, bench->repetitions);
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

/* ------------------------------------------------------------------ rows */

static const char *const call_names[] = {[CALL_PREPARE] = "prepare",
                                         [CALL_FORWARD] = "forward",
                                         [CALL_NORM_FORWARD] = "norm forward",
                                         [CALL_NORM_BACKWARD] = "norm backward",
                                         [CALL_BACKWARD] = "backward"};

struct row {
    char kind[MOST_KIND];
    const char *layer;
    enum call call;
    double time, bytes, macs;
};

static double norm_bytes(const struct pass *pass, const struct convolution *convolution) {
    double partials = 0;
    for (int i = 0; i < pass->segment_count; i++)
        partials += 2.0 * convolution->norm->parts *
                    kept_channels(pass, &convolution->output, pass->segments[i].group);
    return partials * sizeof(float);
}

static void count_row(const struct pass *pass, const struct step *step, struct row *row) {
    bool backward = row->call == CALL_BACKWARD;
    double elements = 0, weights = 0;
    for (int i = 0; i < pass->segment_count; i++) {
        const struct segment *segment = &pass->segments[i];
        struct work work = step_work(pass, step, segment->group, backward);
        row->macs += work.macs * segment->images;
        elements += work.elements * segment->images;
        weights = work.weights > weights ? work.weights : weights;
    }
    row->bytes = elements * (double)pass->ops->activation_size;
    row->bytes += weight_bytes(pass, weights, backward);
    if (row->call == CALL_FORWARD || backward)
        return;
    row->macs = 0;
    row->bytes = row->call == CALL_PREPARE
                     ? weights * (sizeof(real) + (double)pass->ops->activation_size)
                     : norm_bytes(pass, &step->convolution);
}

static void name_row(const struct step *step, struct row *row) {
    if (step->kind == STEP_DEPTHWISE)
        snprintf(row->kind, sizeof row->kind, "depthwise %dx%d/%d", step->convolution.kernel,
                 step->convolution.kernel, step->convolution.stride);
    else if (step->kind == STEP_COMBINE)
        snprintf(row->kind, sizeof row->kind, "combine%s%s",
                 step->combine.residual ? " residual" : "",
                 step->combine.bypass > 0 ? " bypass" : "");
    else
        snprintf(row->kind, sizeof row->kind, "%s", step->name);
}

static void print_channels(const struct pass *pass, const char *name, const struct tensor *tensor) {
    printf("\"%s\": [", name);
    for (int i = 0; i < pass->segment_count; i++)
        printf("%s%d", i ? ", " : "", kept_channels(pass, tensor, pass->segments[i].group));
    printf("], ");
}

static void print_shape(const struct pass *pass, const struct step *step) {
    const struct tensor *in, *out;
    if (step_is_convolution(step))
        in = step->convolution.input.tensor, out = &step->convolution.output;
    else if (step->kind == STEP_SQUEEZE_EXCITE)
        in = step->squeeze_excite.input.tensor, out = &step->squeeze_excite.hidden;
    else if (step->kind == STEP_COMBINE)
        in = step->combine.main.tensor, out = &step->combine.output;
    else
        in = step->pool.input.tensor, out = &step->pool.output;
    printf("\"height\": %d, \"width\": %d, ", in->height, in->width);
    if (step_is_convolution(step))
        printf("\"kernel\": %d, \"stride\": %d, ", step->convolution.kernel,
               step->convolution.stride);
    print_channels(pass, "in", in);
    print_channels(pass, "out", out);
}

static void print_row(const struct bench *bench, const struct step *step, const struct row *row) {
    const struct pass *pass = bench->sets.passes[0];
    printf("{\"benchmark\": \"operation\", \"device\": \"%s\", \"widths\": \"%s\", \"groups\": %d, "
           "\"batch\": %d, \"layer\": \"%s\", \"operation\": \"%s\", \"call\": \"%s\", ",
           bench->ops->name, bench->widths, bench->set_groups, bench->images, row->layer, row->kind,
           call_names[row->call]);
    print_shape(pass, step);
    printf("\"microseconds\": %.2f, \"bytes\": %.0f, \"macs\": %.0f, "
           "\"terabytes_per_second\": %.3f, \"share_of_copy\": %.3f, "
           "\"teraflops_per_second\": %.1f}\n",
           1e6 * row->time, row->bytes, row->macs, row->bytes / row->time / 1e12,
           row->bytes / row->time / bench->copy_speed, 2 * row->macs / row->time / 1e12);
}

/* ------------------------------------------------------------------ summary */

static bool same_kind(const struct row *a, const struct row *b) {
    return a->call == b->call && strcmp(a->kind, b->kind) == 0;
}

static void print_kind(const struct bench *bench, const struct row *rows, int count, int first) {
    double shares[MOST_ROWS], time = 0, bytes = 0, worst = 0;
    const char *layer = "";
    int found = 0;
    for (int i = first; i < count; i++) {
        if (!same_kind(&rows[i], &rows[first]))
            continue;
        double share = rows[i].bytes / rows[i].time / bench->copy_speed;
        if (found == 0 || share < worst) {
            worst = share;
            layer = rows[i].layer;
        }
        shares[found++] = share;
        time += rows[i].time;
        bytes += rows[i].bytes;
    }
    printf("{\"benchmark\": \"operation summary\", \"device\": \"%s\", \"widths\": \"%s\", "
           "\"groups\": %d, \"batch\": %d, \"operation\": \"%s\", \"call\": \"%s\", \"rows\": %d, "
           "\"microseconds\": %.1f, \"microseconds_at_copy_speed\": %.1f, \"median_share\": %.3f, "
           "\"worst_share\": %.3f, \"worst_layer\": \"%s\"}\n",
           bench->ops->name, bench->widths, bench->set_groups, bench->images, rows[first].kind,
           call_names[rows[first].call], found, 1e6 * time, 1e6 * bytes / bench->copy_speed,
           median(shares, found), worst, layer);
}

static void print_summary(const struct bench *bench, const struct row *rows, int count) {
    double time = 0, bytes = 0;
    for (int i = 0; i < count; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || same_kind(&rows[i], &rows[j]);
        if (!seen)
            print_kind(bench, rows, count, i);
        time += rows[i].time;
        bytes += rows[i].bytes;
    }
    printf("{\"benchmark\": \"operations together\", \"device\": \"%s\", \"widths\": \"%s\", "
           "\"groups\": %d, \"batch\": %d, \"rows\": %d, \"microseconds\": %.1f, "
           "\"microseconds_at_copy_speed\": %.1f}\n",
           bench->ops->name, bench->widths, bench->set_groups, bench->images, count, 1e6 * time,
           1e6 * bytes / bench->copy_speed);
}

/* ------------------------------------------------------------------ all operations */

static enum status measure_call(const struct bench *bench, int index, enum call call,
                                struct row *rows, int *count) {
    const struct pass *pass = bench->sets.passes[0];
    const struct step *step = &pass->steps[index];
    struct row row = {.layer = pass->network->layers[step->layer].name, .call = call};
    name_row(step, &row);
    bool wanted = bench->only == NULL || strstr(row.kind, bench->only);
    if (!wanted || !call_exists(step, call) || *count == MOST_ROWS)
        return STATUS_OK;
    count_row(pass, step, &row);
    TRY(time_call(bench, index, call, &row.time));
    print_row(bench, step, &row);
    rows[(*count)++] = row;
    return STATUS_OK;
}

/* In the order of a training step: a batch-norm finds the sums that the operation before it left.
 */
static enum status measure_steps(const struct bench *bench) {
    static struct row rows[MOST_ROWS];
    int count = 0, steps = bench->sets.passes[0]->step_count;
    for (int step = 0; step < steps; step++)
        for (enum call call = CALL_PREPARE; call <= CALL_NORM_FORWARD; call++)
            TRY(measure_call(bench, step, call, rows, &count));
    for (int step = steps - 1; step >= 0; step--)
        for (enum call call = CALL_NORM_BACKWARD; call <= CALL_BACKWARD; call++)
            TRY(measure_call(bench, step, call, rows, &count));
    print_summary(bench, rows, count);
    return STATUS_OK;
}

static enum status measure(struct bench *bench, const struct network *network, int groups,
                           const char *widths) {
    bench->widths = widths;
    bench->set_groups = groups;
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
    return backend_choose(bench->device, bench->backend ? bench->backend : "", bench->precision,
                          &bench->ops, reason);
}

static enum status run(int argc, char **argv) {
    struct bench bench = {.network_file = "benchmarks/mobilenet-v3.yaml",
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
