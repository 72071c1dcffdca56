/* taper search: step 2 alone. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "search/run_search.h"

static enum status work(struct run *run, const struct options *options) {
    (void)options;
    TRY(run_search(run));
    return steps_report(run); /* done before, too: a kill may have come between */
}

static enum status execute(int argc, char **argv) {
    struct options options;
    TRY(options_parse(&options, OPTIONS_SUPERNET, command_search.summary, argc, argv));
    return steps_execute(&options, argv, STEPS_SEARCH, work);
}

const struct command command_search = {
    "search", "Search the trained super-network (search.jsonl, found.yaml)", execute};
