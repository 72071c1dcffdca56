#include "commands/export_formats.h"
#include "export/export.h"
#include "training/train_found.h"
#include "training/trained.h"

#include <stdio.h>
#include <string.h>

static const char *file_of(const struct run *run, const char *name, const char *ending,
                           char path[RUN_PATH]) {
    char file[64];
    snprintf(file, sizeof file, "%s.%s", name, ending);
    return run_path(run, file, path);
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

enum status export_formats(const struct run *run, const struct options *options, const char *name) {
    const struct config *config = &run->config;
    struct trained trained;
    TRY(found_must_be_done(run, name));
    TRY(trained_read(&trained, config, name));
    const struct exported exported = {.name = name,
                                      .network = &trained.network,
                                      .parameters = &trained.parameters,
                                      .statistics = &trained.statistics,
                                      .weights = trained.weights,
                                      .statistic_values = trained.running,
                                      .epsilon = config->norm_epsilon,
                                      .mean = config->data.mean,
                                      .deviation = config->data.deviation};
    enum status status = write_formats(run, options, &exported);
    trained_close(&trained);
    return status;
}
