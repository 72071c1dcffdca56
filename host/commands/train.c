/* taper train: step 3 alone, for the network found, another point of the trade-off curve or any
 * sample. */
#include "commands/commands.h"
#include "commands/steps.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    TRY(options_parse(&options, OPTIONS_POINT, command_train.summary, argc, argv));
    return steps_execute(&options, argv, STEPS_TRAIN, steps_train);
}

const struct command command_train = {"train", "Train the network found (found.safetensors)",
                                      execute};
