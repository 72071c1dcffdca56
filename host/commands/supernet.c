/* taper supernet: step 1 alone. */
#include "commands/commands.h"
#include "commands/steps.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    TRY(options_parse(&options, OPTIONS_PLAIN, command_supernet.summary, argc, argv));
    TRY(steps_begin(&run, &options, false));
    enum status status = steps_supernet(&run);
    run_close(&run);
    return status;
}

const struct command command_supernet = {"supernet",
                                         "Train the super-network (supernet.safetensors)", execute};
