#include "report/log.h"
#include "report/json_lines.h"
#include "support/characters.h"
#include "support/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct log {
    struct json_lines lines;
    bool terminal;
    bool status_line; /* one stands on the terminal now */
};

enum status log_open(struct log **log, const char *path) {
    TRY(allocate(log, 1, sizeof **log, "the log"));
    (*log)->terminal = isatty(STDOUT_FILENO);
    enum status status = json_lines_open(&(*log)->lines, path);
    if (status != STATUS_OK) {
        free(*log);
        *log = NULL;
    }
    return status;
}

static void clear_status_line(struct log *log) {
    if (log->status_line)
        fputs("\r\033[K", stdout);
    log->status_line = false;
}

void log_close(struct log *log) {
    if (log == NULL)
        return;
    clear_status_line(log);
    fflush(stdout);
    json_lines_close(&log->lines);
    free(log);
}

void log_no_terminal(struct log *log) {
    log->terminal = false;
}

enum status log_event(struct log *log, const char *format, ...) {
    if (log == NULL)
        return STATUS_OK;
    va_list arguments;
    va_start(arguments, format);
    json_t *object = json_vpack_ex(NULL, 0, format, arguments);
    va_end(arguments);
    return json_lines_append(&log->lines, object);
}

enum status log_say(struct log *log, const char *format, ...) {
    if (log == NULL)
        return STATUS_OK;
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    clear_status_line(log);
    puts(sentence);
    fflush(stdout);
    make_utf8(sentence);
    return log_event(log, "{s:s, s:s}", "event", "note", "text", sentence);
}

enum status log_say_event(struct log *log, const char *event, const char *sentence) {
    if (log == NULL)
        return STATUS_OK;
    char text[1024];
    snprintf(text, sizeof text, "%s", sentence);
    clear_status_line(log);
    printf("%s: %s\n", event, text);
    fflush(stdout);
    make_utf8(text);
    return log_event(log, "{s:s, s:s}", "event", event, "text", text);
}

void log_status_line(struct log *log, const char *line) {
    if (log == NULL || !log->terminal)
        return;
    clear_status_line(log);
    fputs(line, stdout);
    fflush(stdout);
    log->status_line = true;
}

bool log_on_terminal(const struct log *log) {
    return log != NULL && log->terminal;
}

double log_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
