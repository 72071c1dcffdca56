/* An outside command as a metric: a phone, an accelerator, an energy meter.
 *
 * One JSON object a line goes in, {"id": 7, "subnetwork": {"blocks.0.width": 16, ...}}, and one
 * comes out: {"id": 7, "value": 12.5} or {"id": 7, "error": "..."}. After a breach of this protocol
 * nothing that the command says can be matched to a question, so it is stopped.
 */
#include "metric/metric_type.h"
#include "metric/process.h"
#include "metric/reply.h"
#include "network/subnetwork_json.h"
#include "support/json.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

struct command {
    struct process process;
    json_int_t questions;
};

static void command_release(struct metric *metric) {
    const double grace = 0.5; /* to leave its device in order */
    struct command *command = metric->state;
    process_stop(&command->process, grace);
    free(command);
}

static enum status command_create(struct metric *metric) {
    if (!(metric->config.deadline > 0))
        return fail(STATUS_USAGE, "metric \"%s\": its deadline is %g s; it must be above 0",
                    metric->config.name, metric->config.deadline);
    struct command *command;
    TRY(allocate(&command, 1, sizeof *command, "an outside command"));
    int error = process_start(&command->process, metric->config.command);
    if (error) {
        free(command);
        return fail(STATUS_FAILED, COMMAND_SAYS "cannot be started: %s",
                    COMMAND_OF(&metric->config), strerror(error));
    }
    metric->state = command;
    return STATUS_OK;
}

static enum status broken(struct metric *metric, enum process_result result) {
    struct command *command = metric->state;
    long long id = command->questions;
    char how[64];
    switch (result) {
    case PROCESS_LATE:
        return fail(
            STATUS_FAILED,
            COMMAND_SAYS
            "did not answer question %lld within its deadline of %g s (does it flush its output?)",
            COMMAND_OF(&metric->config), id, metric->config.deadline);
    case PROCESS_LONG_LINE:
        return fail(STATUS_FAILED, COMMAND_SAYS "answered question %lld with a line over %d bytes",
                    COMMAND_OF(&metric->config), id, MAX_LINE);
    default:
        return fail(STATUS_FAILED, COMMAND_SAYS "ended before it answered question %lld (%s)",
                    COMMAND_OF(&metric->config), id, process_ending(&command->process, how));
    }
}

static enum status ask(struct metric *metric, const struct subnetwork *sub, double until) {
    struct command *command = metric->state;
    command->questions++;
    json_t *question = json_pack("{s:I, s:o}", "id", command->questions, "subnetwork",
                                 subnetwork_to_json(metric->network, sub));
    char *text = question ? json_text(question, JSON_COMPACT) : NULL;
    json_decref(question);
    if (!text)
        return fail(STATUS_FAILED, "no memory to ask metric \"%s\"", metric->config.name);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the terminating 0: lines are counted, not terminated */
    enum process_result result = process_write(&command->process, text, length + 1, until);
    free(text);
    return result == PROCESS_OK ? STATUS_OK : broken(metric, result);
}

static enum status exchange(struct metric *metric, const struct subnetwork *sub, double *value) {
    struct command *command = metric->state;
    if (process_has_more(&command->process))
        return fail(STATUS_FAILED,
                    COMMAND_SAYS "wrote something that was not asked for after question %lld",
                    COMMAND_OF(&metric->config), (long long)command->questions);
    double until = process_now() + metric->config.deadline;
    TRY(ask(metric, sub, until));
    char *line;
    enum process_result result = process_read_line(&command->process, &line, until);
    return result == PROCESS_OK
               ? reply_value(&metric->config, line, (long long)command->questions, value)
               : broken(metric, result);
}

static enum status command_value(struct metric *metric, const struct subnetwork *sub,
                                 double *value) {
    struct command *command = metric->state;
    if (command->process.id == 0)
        return fail(STATUS_FAILED, COMMAND_SAYS "was stopped after an earlier error",
                    COMMAND_OF(&metric->config));
    enum status status = exchange(metric, sub, value);
    if (status != STATUS_OK)
        process_stop(&command->process, 0);
    return status;
}

const struct metric_type metric_command = {
    .slow = true, .create = command_create, .release = command_release, .value = command_value};
