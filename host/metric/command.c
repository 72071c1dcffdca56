/* An outside command as a metric: a phone, an accelerator, an energy meter.
 *
 * One JSON object a line goes in, {"id": 7, "subnetwork": {"blocks.0.width": 16, ...}}, and one
 * comes out: {"id": 7, "value": 12.5} or {"id": 7, "error": "..."}. After a breach of this protocol
 * nothing that the command says can be matched to a question, so it is stopped.
 */
#include "metric/metric_type.h"
#include "metric/process.h"
#include "network/subnetwork_json.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct command {
    struct process process;
    json_int_t questions;
};

/* The metric and the command in front of a sentence about what came. */
#define SAYS "metric \"%s\": command `%s` "
#define WHO(metric) (metric)->config.name, (metric)->config.command

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
        return fail(STATUS_FAILED, SAYS "cannot be started: %s", WHO(metric), strerror(error));
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
            SAYS
            "did not answer question %lld within its deadline of %g s (does it flush its output?)",
            WHO(metric), id, metric->config.deadline);
    case PROCESS_LONG_LINE:
        return fail(STATUS_FAILED, SAYS "answered question %lld with a line over %d bytes",
                    WHO(metric), id, MAX_LINE);
    default:
        return fail(STATUS_FAILED, SAYS "ended before it answered question %lld (%s)", WHO(metric),
                    id, process_ending(&command->process, how));
    }
}

static enum status ask(struct metric *metric, const struct subnetwork *sub, double until) {
    struct command *command = metric->state;
    command->questions++;
    json_t *question = json_pack("{s:I, s:o}", "id", command->questions, "subnetwork",
                                 subnetwork_to_json(metric->network, sub));
    char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
    json_decref(question);
    if (!text)
        return fail(STATUS_FAILED, "no memory to ask metric \"%s\"", metric->config.name);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the terminating 0: lines are counted, not terminated */
    enum process_result result = process_write(&command->process, text, length + 1, until);
    free(text);
    return result == PROCESS_OK ? STATUS_OK : broken(metric, result);
}

/* The number in an answer whose id is right. */
static enum status answered(struct metric *metric, const json_t *answer, const char *line,
                            double *value) {
    long long id = ((struct command *)metric->state)->questions;
    const json_t *error = json_object_get(answer, "error");
    if (error)
        return fail(STATUS_FAILED, SAYS "answered question %lld with the error: %.300s",
                    WHO(metric), id,
                    json_is_string(error) ? json_string_value(error) : "(no string)");
    const json_t *number = json_object_get(answer, "value");
    if (!json_is_number(number))
        return fail(STATUS_FAILED,
                    SAYS "answered question %lld without a number as its value: %.200s",
                    WHO(metric), id, line);
    double told = json_number_value(number);
    if (!isfinite(told) || told < 0)
        return fail(STATUS_FAILED, SAYS "answered question %lld with %g; a metric is at least 0",
                    WHO(metric), id, told);
    *value = told;
    return STATUS_OK;
}

static enum status understand(struct metric *metric, const char *line, double *value) {
    json_int_t asked = ((struct command *)metric->state)->questions;
    json_t *answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const json_t *id = json_object_get(answer, "id");
    enum status status;
    if (!json_is_object(answer))
        status = fail(STATUS_FAILED,
                      SAYS "answered question %lld with something else than a JSON object: %.200s",
                      WHO(metric), (long long)asked, line);
    else if (!json_is_integer(id))
        status = fail(STATUS_FAILED, SAYS "answered question %lld without its id: %.200s",
                      WHO(metric), (long long)asked, line);
    else if (json_integer_value(id) != asked)
        status = fail(STATUS_FAILED, SAYS "was asked question %lld and answered question %lld",
                      WHO(metric), (long long)asked, (long long)json_integer_value(id));
    else
        status = answered(metric, answer, line, value);
    json_decref(answer);
    return status;
}

static enum status exchange(struct metric *metric, const struct subnetwork *sub, double *value) {
    struct command *command = metric->state;
    if (process_has_more(&command->process))
        return fail(STATUS_FAILED,
                    SAYS "wrote something that was not asked for after question %lld", WHO(metric),
                    (long long)command->questions);
    double until = process_now() + metric->config.deadline;
    TRY(ask(metric, sub, until));
    char *line;
    enum process_result result = process_read_line(&command->process, &line, until);
    return result == PROCESS_OK ? understand(metric, line, value) : broken(metric, result);
}

static enum status command_value(struct metric *metric, const struct subnetwork *sub,
                                 double *value) {
    struct command *command = metric->state;
    if (command->process.id == 0)
        return fail(STATUS_FAILED, SAYS "was stopped after an earlier error", WHO(metric));
    enum status status = exchange(metric, sub, value);
    if (status != STATUS_OK)
        process_stop(&command->process, 0);
    return status;
}

const struct metric_type metric_command = {
    .slow = true, .create = command_create, .release = command_release, .value = command_value};
