#include "report/times.h"
#include "report/log.h"
#include "support/file.h"
#include "support/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

enum status times_open(struct times *times, const char *path) {
    *times = (struct times){.seconds = json_object()};
    snprintf(times->path, sizeof times->path, "%s", path);
    if (times->seconds == NULL)
        return fail(STATUS_FAILED, "no memory for %s", path);
    if (!file_exists(path))
        return STATUS_OK;
    char *text;
    size_t size;
    TRY(file_read(path, MOST_BYTES, &text, &size));
    json_error_t error;
    json_t *read = json_read(text, size, &error);
    free(text);
    if (read == NULL && json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for %s", path);
    if (json_is_object(read)) /* else it counts from zero: no result depends on it */
        json_object_update(times->seconds, read);
    json_decref(read);
    return STATUS_OK;
}

void times_close(struct times *times) {
    json_decref(times->seconds);
    times->seconds = NULL;
}

double times_of(const struct times *times, const char *step) {
    return json_number_value(json_object_get(times->seconds, step));
}

static enum status set(struct times *times, const char *step, double seconds) {
    if (json_object_set_new(times->seconds, step, json_real(seconds)) != 0)
        return fail(STATUS_FAILED, "no memory for %s", times->path);
    return STATUS_OK;
}

enum status times_start(struct times *times, const char *step) {
    snprintf(times->step, sizeof times->step, "%s", step);
    times->started = log_seconds();
    return set(times, step, times_of(times, step));
}

enum status times_restart(struct times *times, const char *step) {
    TRY(set(times, step, 0));
    return times_start(times, step);
}

enum status times_save(struct times *times) {
    if (times == NULL || times->path[0] == '\0')
        return STATUS_OK;
    double now = log_seconds();
    TRY(set(times, times->step, times_of(times, times->step) + now - times->started));
    times->started = now;
    char *text = json_text(times->seconds, JSON_INDENT(2));
    if (text == NULL)
        return fail(STATUS_FAILED, "no memory for %s", times->path);
    struct file_part part = {text, strlen(text)};
    enum status status = file_replace(times->path, &part, 1);
    free(text);
    return status;
}
