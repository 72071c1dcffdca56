/* taper latency: how long a pass of one network takes here, as the metric of that name has it. */
#include "commands/latency.h"
#include "metric/notebook.h"
#include "network/subnetwork_json.h"
#include "report/format.h"
#include "support/json.h"
#include "training/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MUCH_WAITING = 0.02;

/* The line of search.jsonl that is sample `number`, or point `number` of the trade-off curve. */
static const json_t *find_line(const json_t *lines, const struct options *options) {
    int points = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        bool chosen = json_is_true(json_object_get(line, "chosen"));
        if (options->sample >= 0 ? (size_t)options->sample == i
                                 : chosen && points == options->point)
            return line;
        points += chosen;
    }
    return NULL;
}

static enum status read_subnetwork(const struct config *config, const struct options *options,
                                   struct subnetwork *sub) {
    char path[RUN_PATH];
    json_t *lines;
    if (options->sample < 0 && options->point < 0) {
        *sub = subnetwork_largest(&config->network);
        return STATUS_OK;
    }
    snprintf(path, sizeof path, "%s/search.jsonl", config->out);
    TRY(json_lines_read(path, &lines));
    const json_t *line = find_line(lines, options);
    enum status status =
        line == NULL
            ? fail(STATUS_USAGE, "%s has no such sample or point", path)
            : subnetwork_from_json(&config->network, json_object_get(line, "subnetwork"), sub);
    json_decref(lines);
    return status;
}

static void name_network(const struct options *options, char name[32]) {
    if (options->sample >= 0)
        snprintf(name, 32, "sample %d", options->sample);
    else if (options->point >= 0)
        snprintf(name, 32, "point %d", options->point);
    else
        snprintf(name, 32, "initial network");
}

static enum status print_json(const struct bench *bench, const char *name,
                              const struct stopwatch_result *result, double memory) {
    json_t *json = latency_to_json(result, bench);
    char *text = NULL;
    if (json && json_object_set_new(json, "network", json_string(name)) == 0 &&
        json_object_set_new(json, "memory", json_real(memory)) == 0)
        text = json_text(json, 0);
    json_decref(json);
    if (text == NULL)
        return fail(STATUS_FAILED, "no memory for the result");
    puts(text);
    free(text);
    return STATUS_OK;
}

static void print_line(const struct bench *bench, const char *name,
                       const struct stopwatch_result *result, double memory) {
    const struct median *median = &result->median;
    const struct latency_config *config = &bench->latency;
    char bytes[FORMAT_SIZE];
    printf("%s: %.4g ms (median of %d passes, with 95 %% from %.4g to %.4g; %d outliers), %d "
           "picture%s, %d thread%s, %s of memory, on %s\n",
           name, 1e3 * median->value, result->repetitions, 1e3 * median->low, 1e3 * median->high,
           result->outliers, config->batch_images, config->batch_images == 1 ? "" : "s",
           config->threads, config->threads == 1 ? "" : "s", format_bytes(bytes, memory),
           bench->device);
    if (result->waited > MUCH_WAITING)
        printf("other work had the processor %.0f %% of the time, which is not counted\n",
               100 * result->waited);
    if (!result->narrow)
        printf(
            "warning: this interval is wider than latency.interval %g of the median, after %g s\n",
            config->interval, config->seconds);
    if (!result->steady)
        printf("warning: the last third of these passes took %+.1f %% against the first: clocks or "
               "other work changed\n",
               100 * result->drift);
}

enum status latency_bench(struct bench *bench, const struct config *config) {
    const struct pass_options pass = run_pass_options(config);
    const struct ops *ops;
    char reason[BACKEND_REASON];
    TRY(backend_choose(config->device, config->backend, config->precision, &ops, reason));
    return bench_create(bench, ops, config->backend, &config->latency, &pass);
}

static enum status measure(const struct config *config, const struct options *options) {
    struct bench bench;
    struct subnetwork sub;
    struct stopwatch_result result;
    double memory;
    char name[32];
    TRY(read_subnetwork(config, options, &sub));
    TRY(latency_bench(&bench, config));
    TRY(bench_memory(&bench, &config->network, &sub, &memory));
    TRY(bench_latency(&bench, &config->network, &sub, &result));
    name_network(options, name);
    if (options->json)
        return print_json(&bench, name, &result, memory);
    print_line(&bench, name, &result, memory);
    return STATUS_OK;
}

static enum status execute(int argc, char **argv) {
    static const struct command *const commands[] = {&latency_build, &latency_check,
                                                     &latency_import};
    static char name[64];
    struct options options;
    struct config config;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0] && argc >= 2; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        snprintf(name, sizeof name, "taper latency %s", commands[i]->name);
        argv[1] = name;
        return commands[i]->run(argc - 1, argv + 1);
    }
    TRY(options_parse(&options, OPTIONS_LATENCY, command_latency.summary, argc, argv));
    TRY(options_read_config(&options, &config));
    enum status status = measure(&config, &options);
    config_release(&config);
    return status;
}

const struct command command_latency = {
    "latency",
    "How long a pass of the initial network, or of a sample, takes here; with build, check or "
    "import before the rest: latency tables",
    execute};
