/* taper train: step 3 alone, for the network found, another point of the trade-off curve or any
 * sample. */
#include "commands/commands.h"
#include "commands/steps.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    TRY(options_parse(&options, OPTIONS_POINT, command_train.summary, argc, argv));
    TRY(steps_begin(&run, &options, false));
    enum status status = steps_train(&run, &options);
    run_close(&run);
    return status;
}

const struct command command_train = {"train", "Train the network found (found.safetensors)",
                                      execute};
