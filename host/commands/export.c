/* taper export: the trained network for other programs. */
#include "commands/commands.h"
#include "commands/export_formats.h"
#include "commands/steps.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    char name[32];
    TRY(options_parse(&options, OPTIONS_EXPORT, command_export.summary, argc, argv));
    TRY(steps_open(&run, &options));
    enum status status = export_formats(&run, &options, steps_name(&options, name));
    run_close(&run);
    return status;
}

const struct command command_export = {
    "export", "Write the trained network as ONNX and as a PyTorch module", execute};
