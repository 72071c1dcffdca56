/* taper run: all steps, each of which is skipped when it is done. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "search/run_search.h"
#include "training/train_supernet.h"

static enum status all_steps(struct run *run, const struct options *options) {
    bool trained;
    TRY(run_decide(run, supernet_is_done, &trained));
    if (!trained) {
        TRY(run_load_pictures(run));
        TRY(run_check_test_pictures(run));
    }
    TRY(train_supernet(run));
    if (!trained) /* else the page waits: what follows may refuse the folder */
        TRY(steps_report(run));
    TRY(run_search(run));
    TRY(steps_report(run));
    return steps_train(run, options);
}

static enum status execute(int argc, char **argv) {
    struct options options;
    TRY(options_parse(&options, OPTIONS_SUPERNET, command_run.summary, argc, argv));
    return steps_execute(&options, argv, STEPS_SEARCH, all_steps);
}

const struct command command_run = {
    "run", "All steps: super-network, search, training, export; the same command again goes on",
    execute};
