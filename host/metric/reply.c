#include "metric/reply.h"
#include "support/json.h"

#include <math.h>
#include <string.h>

/* The number in an answer whose id is right. */
static enum status number_of(const struct metric_config *config, const json_t *answer,
                             const char *line, long long asked, double *value) {
    const json_t *error = json_object_get(answer, "error");
    if (error)
        return fail(STATUS_FAILED, COMMAND_SAYS "answered question %lld with the error: %.300s",
                    COMMAND_OF(config), asked,
                    json_is_string(error) ? json_string_value(error) : "(no string)");
    const json_t *number = json_object_get(answer, "value");
    if (!json_is_number(number))
        return fail(STATUS_FAILED,
                    COMMAND_SAYS "answered question %lld without a number as its value: %.200s",
                    COMMAND_OF(config), asked, line);
    double told = json_number_value(number);
    if (!isfinite(told) || told < 0)
        return fail(STATUS_FAILED,
                    COMMAND_SAYS "answered question %lld with %g; a metric is at least 0",
                    COMMAND_OF(config), asked, told);
    *value = told;
    return STATUS_OK;
}

static enum status understand(const struct metric_config *config, const json_t *answer,
                              const char *line, long long asked, double *value) {
    const json_t *id = json_object_get(answer, "id");
    if (!json_is_object(answer))
        return fail(STATUS_FAILED,
                    COMMAND_SAYS
                    "answered question %lld with something else than a JSON object: %.200s",
                    COMMAND_OF(config), asked, line);
    if (!json_is_integer(id))
        return fail(STATUS_FAILED, COMMAND_SAYS "answered question %lld without its id: %.200s",
                    COMMAND_OF(config), asked, line);
    if (json_integer_value(id) != asked)
        return fail(STATUS_FAILED,
                    COMMAND_SAYS "was asked question %lld and answered question %lld",
                    COMMAND_OF(config), asked, (long long)json_integer_value(id));
    return number_of(config, answer, line, asked, value);
}

enum status reply_value(const struct metric_config *config, const char *line, long long asked,
                        double *value) {
    json_error_t error;
    json_t *answer = json_read(line, strlen(line), &error);
    if (answer == NULL && json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for the answers of metric \"%s\"", config->name);
    enum status status = understand(config, answer, line, asked, value);
    json_decref(answer);
    return status;
}
