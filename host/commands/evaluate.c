/* taper evaluate: the trained network on the test images. */
#include "commands/commands.h"
#include "commands/steps.h"
#include "training/train_found.h"

static enum status evaluate(struct run *run, const struct options *options) {
    char name[32];
    struct evaluation evaluation;
    TRY(found_evaluate(run, steps_name(options, name), &evaluation));
    TRY(log_event(run->log, "{s:s, s:s, s:f, s:f}", "event", "evaluation", "network", name,
                  "test_accuracy", evaluation.accuracy, "loss", evaluation.loss));
    return log_say(run->log, "%.2f %% of the test images right (%d of %d), loss %.4f",
                   100 * evaluation.accuracy, evaluation.correct, evaluation.images,
                   evaluation.loss);
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct run run;
    TRY(options_parse(&options, OPTIONS_POINT, command_evaluate.summary, argc, argv));
    TRY(steps_open(&run, &options));
    enum status status = evaluate(&run, &options);
    if (status == STATUS_OK)
        status = steps_report(&run);
    run_close(&run);
    return status;
}

const struct command command_evaluate = {
    "evaluate", "Accuracy of the trained network on the test images", execute};
