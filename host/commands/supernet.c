/* taper supernet: step 1 alone. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "training/train_supernet.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    TRY(options_parse(&options, OPTIONS_PLAIN, command_supernet.summary, argc, argv));
    TRY(steps_begin(&run, &options, false));
    enum status status = train_supernet(&run);
    if (status == STATUS_OK)
        status = steps_report(&run); /* done before, too: a kill may have come between */
    run_close(&run);
    return status;
}

const struct command command_supernet = {"supernet",
                                         "Train the super-network (supernet.safetensors)", execute};
