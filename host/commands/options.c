#include "commands/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    KEY_SET = 256,
    KEY_THREADS,
    KEY_DEVICE,
    KEY_SUPERNET,
    KEY_POINT,
    KEY_SAMPLE,
    KEY_FORMAT,
    KEY_KEEP_NORMS,
    KEY_PREDICTIONS,
    KEY_JSON,
    KEY_PART,
    KEY_SHORT_SIDE,
    KEY_RANKS
};

#define SET_OPTION                                                                                 \
    {                                                                                              \
        "set", KEY_SET, "KEY=VALUE", 0,                                                            \
            "Use VALUE for a key of the configuration; may be repeated", 0                         \
    }
#define PLACE_OPTIONS                                                                              \
    {"device", KEY_DEVICE, "auto|cpu|cuda", 0, "What does the work", 0}, {                         \
        "out", 'o', "FOLDER", 0, "Folder of the run", 0                                            \
    }
#define DATA_OPTIONS                                                                               \
    SET_OPTION, {                                                                                  \
        "threads", KEY_THREADS, "N", 0, "Workers; results do not depend on it", 0                  \
    }
#define COMMON_OPTIONS DATA_OPTIONS, PLACE_OPTIONS

#define RANKS_OPTION                                                                               \
    { "ranks", KEY_RANKS, "N", 0, "Share the work among N processes, which mpirun starts", 0 }

static const struct argp_option plain_options[] = {COMMON_OPTIONS, {0}};
static const struct argp_option ranks_options[] = {COMMON_OPTIONS, RANKS_OPTION, {0}};
static const struct argp_option supernet_options[] = {
    COMMON_OPTIONS,
    RANKS_OPTION,
    {"supernet", KEY_SUPERNET, "FILE", 0, "Take this super-network instead of training one", 0},
    {0}};
#define POINT_OPTIONS                                                                              \
    {                                                                                              \
        "point", KEY_POINT, "N", 0, "Point N of the trade-off curve instead of the network found", \
        0},                                                                                        \
    {                                                                                              \
        "sample", KEY_SAMPLE, "N", 0, "Sample N of search.jsonl instead of the network found", 0   \
    }
static const struct argp_option point_options[] = {
    COMMON_OPTIONS, RANKS_OPTION, POINT_OPTIONS, {0}};
static const struct argp_option export_options[] = {
    COMMON_OPTIONS,
    POINT_OPTIONS,
    {"format", KEY_FORMAT, "onnx|pytorch", 0, "Only this one; default: both", 0},
    {"keep-norms", KEY_KEEP_NORMS, NULL, 0,
     "Batch-norms stay nodes of the ONNX graph instead of parts of the convolutions", 0},
    {0}};
static const struct argp_option evaluate_options[] = {
    COMMON_OPTIONS,
    POINT_OPTIONS,
    {"predictions", KEY_PREDICTIONS, "FILE", 0, "Write logits and labels as safetensors", 0},
    {0}};
static const struct argp_option predict_options[] = {
    COMMON_OPTIONS,
    POINT_OPTIONS,
    {"json", KEY_JSON, NULL, 0, "A JSON object per picture", 0},
    {0}};

static const struct argp_option latency_options[] = {
    SET_OPTION,
    PLACE_OPTIONS,
    {"threads", KEY_THREADS, "N", 0, "Threads that share the pictures: latency.threads", 0},
    {"point", KEY_POINT, "N", 0, "Point N of the trade-off curve instead of the initial network",
     0},
    {"sample", KEY_SAMPLE, "N", 0, "Sample N of search.jsonl instead of the initial network", 0},
    {"json", KEY_JSON, NULL, 0, "The result as a JSON object", 0},
    {0}};

static const struct argp_option data_options[] = {
    DATA_OPTIONS,
    {"part", KEY_PART, "train|test", 0, "Only this part of the data; default: both", 0},
    {0}};
static const struct argp_option pack_options[] = {
    DATA_OPTIONS,
    {"out", 'o', "FILE", 0, "The pack to write", 0},
    {"part", KEY_PART, "train|test", 0, "Which part of the data; default: train", 0},
    {"short-side", KEY_SHORT_SIDE, "N", 0,
     "Write larger pictures anew, their shorter side N pixels long; default: all as they are", 0},
    {0}};

static void add_setting(struct options *options, const char *setting, struct argp_state *state) {
    if (options->setting_count == MAX_SETTINGS)
        argp_error(state, "more than %d settings", MAX_SETTINGS);
    options->settings[options->setting_count++] = setting;
}

static int parse_number(const char *text, const char *option, struct argp_state *state) {
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 0 || number > 1000000)
        argp_error(state, "%s %s is no number from 0 to 1000000", option, text);
    return (int)number;
}

static enum data_part parse_part(const char *text, struct argp_state *state) {
    if (strcmp(text, "train") != 0 && strcmp(text, "test") != 0)
        argp_error(state, "--part %s is neither train nor test", text);
    return text[1] == 'r' ? DATA_TRAIN : DATA_TEST;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case KEY_SET:
        add_setting(options, argument, state);
        return 0;
    case KEY_THREADS:
        snprintf(options->threads, sizeof options->threads, "%sthreads=%s",
                 options->kind == OPTIONS_LATENCY ? "latency." : "", argument);
        return 0;
    case KEY_DEVICE:
        snprintf(options->device, sizeof options->device, "device=%s", argument);
        return 0;
    case 'o':
        options->file = argument;
        if (options->kind == OPTIONS_PACK)
            return 0;
        snprintf(options->out, sizeof options->out, "out=%s", argument);
        return 0;
    case KEY_SUPERNET:
        options->supernet = argument;
        return 0;
    case KEY_POINT:
        options->point = parse_number(argument, "--point", state);
        return 0;
    case KEY_SAMPLE:
        options->sample = parse_number(argument, "--sample", state);
        return 0;
    case KEY_PART:
        options->part = parse_part(argument, state);
        options->one_part = true;
        return 0;
    case KEY_SHORT_SIDE:
        options->short_side = parse_number(argument, "--short-side", state);
        return 0;
    case KEY_RANKS:
        options->ranks = parse_number(argument, "--ranks", state);
        if (options->ranks < 1)
            argp_error(state, "--ranks %s: at least 1 works", argument);
        return 0;
    case KEY_FORMAT:
        if (strcmp(argument, "onnx") != 0 && strcmp(argument, "pytorch") != 0)
            argp_error(state, "--format %s is neither onnx nor pytorch", argument);
        options->format = argument;
        return 0;
    case KEY_KEEP_NORMS:
        options->keep_norms = true;
        return 0;
    case KEY_PREDICTIONS:
        options->predictions = argument;
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->config && options->kind == OPTIONS_PREDICT)
            return ARGP_ERR_UNKNOWN; /* the rest comes as ARGP_KEY_ARGS */
        if (options->config)
            argp_error(state, "one configuration or run folder, not two (%s, %s)", options->config,
                       argument);
        options->config = argument;
        return 0;
    case ARGP_KEY_ARGS:
        options->pictures = state->argv + state->next;
        options->picture_count = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (options->point >= 0 && options->sample >= 0)
            argp_error(state, "--point and --sample name one network each");
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a configuration file or a run folder is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

enum status options_parse(struct options *options, enum options_kind kind, const char *summary,
                          int argc, char **argv) {
    static const struct argp_option *const known[] = {
        [OPTIONS_PLAIN] = plain_options,       [OPTIONS_RANKS] = ranks_options,
        [OPTIONS_SUPERNET] = supernet_options, [OPTIONS_POINT] = point_options,
        [OPTIONS_EXPORT] = export_options,     [OPTIONS_EVALUATE] = evaluate_options,
        [OPTIONS_PREDICT] = predict_options,   [OPTIONS_LATENCY] = latency_options,
        [OPTIONS_DATA] = data_options,         [OPTIONS_PACK] = pack_options};
    const struct argp argp = {.options = known[kind],
                              .parser = parse,
                              .args_doc =
                                  kind == OPTIONS_PREDICT ? "FOLDER PICTURE..." : "CONFIG|FOLDER",
                              .doc = summary};
    *options = (struct options){.kind = kind, .point = -1, .sample = -1};
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, options) != 0) /* all else ends the process */
        return fail(STATUS_FAILED, "no memory to read the arguments");
    return STATUS_OK;
}

enum status options_read_config(const struct options *options, struct config *config) {
    char path[SETTING_SIZE], folder[SETTING_SIZE];
    const char *settings[MAX_SETTINGS + 4];
    int count = 0;
    struct stat info;
    snprintf(path, sizeof path, "%s", options->config);
    if (stat(options->config, &info) == 0 && S_ISDIR(info.st_mode)) {
        snprintf(path, sizeof path, "%s/config.yaml", options->config);
        snprintf(folder, sizeof folder, "out=%s", options->config);
        settings[count++] = folder;
    }
    for (int i = 0; i < options->setting_count; i++)
        settings[count++] = options->settings[i];
    if (options->threads[0] != '\0')
        settings[count++] = options->threads;
    if (options->device[0] != '\0')
        settings[count++] = options->device;
    if (options->out[0] != '\0')
        settings[count++] = options->out;
    return config_read(config, path, settings, count);
}
