/* taper search: step 2 alone. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "search/run_search.h"

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    TRY(options_parse(&options, OPTIONS_SUPERNET, command_search.summary, argc, argv));
    TRY(steps_begin(&run, &options, true));
    enum status status = run_search(&run);
    if (status == STATUS_OK)
        status = steps_report(&run); /* done before, too: a kill may have come between */
    run_close(&run);
    return status;
}

const struct command command_search = {
    "search", "Search the trained super-network (search.jsonl, found.yaml)", execute};
