/* taper export: the trained network for other programs. */
#include "export/export.h"
#include "commands/commands.h"
#include "commands/steps.h"
#include "export/names.h"
#include "support/memory.h"
#include "training/train_found.h"
#include "training/weights_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A trained network read back from its files. */
struct trained {
    struct network network;
    struct parameters parameters, statistics;
    real *weights, *running;
};

static const char *file_of(const struct run *run, const char *name, const char *ending,
                           char path[RUN_PATH]) {
    char file[64];
    snprintf(file, sizeof file, "%s.%s", name, ending);
    return run_path(run, file, path);
}

static enum status read_trained(struct trained *trained, const struct run *run, const char *name) {
    char path[RUN_PATH];
    *trained = (struct trained){0};
    TRY(network_read(&trained->network, file_of(run, name, "yaml", path)));
    TRY(parameters_of(&trained->parameters, &trained->network));
    TRY(statistics_of(&trained->statistics, &trained->network));
    names_timm(&trained->network, &trained->parameters);
    names_timm(&trained->network, &trained->statistics);
    TRY(allocate(&trained->weights, trained->parameters.size, sizeof(real), "the weights"));
    TRY(allocate(&trained->running, trained->statistics.size, sizeof(real), "the statistics"));
    return weights_read(file_of(run, name, "safetensors", path), &trained->parameters,
                        trained->weights, &trained->statistics, trained->running);
}

static void release(struct trained *trained) {
    free(trained->weights);
    free(trained->running);
    parameters_release(&trained->parameters);
    parameters_release(&trained->statistics);
    network_release(&trained->network);
}

static bool wanted(const struct options *options, const char *format) {
    return options->format == NULL || strcmp(options->format, format) == 0;
}

/* A program without ONNX fails only when ONNX is what it was asked for. */
static enum status write_formats(const struct run *run, const struct options *options,
                                 const struct exported *exported) {
    char path[RUN_PATH];
    if (wanted(options, "pytorch")) {
        TRY(pytorch_write(exported, file_of(run, exported->name, "py", path)));
        TRY(log_say(run->log, "exported: %s", path));
    }
    if (!wanted(options, "onnx"))
        return STATUS_OK;
    file_of(run, exported->name, "onnx", path);
    if (options->format == NULL && !onnx_available())
        return log_say(run->log, "not exported: %s (this taper was built without ONNX)", path);
    TRY(onnx_write(exported, !options->keep_norms, path));
    return log_say(run->log, "exported: %s", path);
}

enum status steps_export(struct run *run, const struct options *options, const char *name) {
    const struct config *config = &run->config;
    struct trained trained;
    TRY(found_must_be_done(run, name));
    enum status status = read_trained(&trained, run, name);
    const struct exported exported = {.name = name,
                                      .network = &trained.network,
                                      .parameters = &trained.parameters,
                                      .statistics = &trained.statistics,
                                      .weights = trained.weights,
                                      .statistic_values = trained.running,
                                      .epsilon = config->norm_epsilon,
                                      .mean = config->data.mean,
                                      .deviation = config->data.deviation};
    if (status == STATUS_OK)
        status = write_formats(run, options, &exported);
    release(&trained);
    return status;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    char name[32];
    TRY(options_parse(&options, OPTIONS_EXPORT, command_export.summary, argc, argv));
    TRY(steps_open(&run, &options));
    enum status status = steps_export(&run, &options, steps_name(&options, name));
    run_close(&run);
    return status;
}

const struct command command_export = {
    "export", "Write the trained network as ONNX and as a PyTorch module", execute};
