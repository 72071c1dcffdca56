/* taper supernet: step 1 alone. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "training/train_supernet.h"

static enum status work(struct run *run, const struct options *options) {
    (void)options;
    TRY(train_supernet(run));
    return steps_report(run); /* done before, too: a kill may have come between */
}

static enum status execute(int argc, char **argv) {
    struct options options;
    TRY(options_parse(&options, OPTIONS_RANKS, command_supernet.summary, argc, argv));
    return steps_execute(&options, argv, STEPS_TRAIN, work);
}

const struct command command_supernet = {"supernet",
                                         "Train the super-network (supernet.safetensors)", execute};
