#include "report/json_lines.h"
#include "support/file.h"
#include "support/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 30 };

/* Bytes of the first `count` whole lines (all of them: SIZE_MAX). */
static size_t whole_lines(const char *text, size_t size, size_t count) {
    size_t end = 0;
    for (size_t line = 0; line < count; line++) {
        const char *newline = memchr(text + end, '\n', size - end);
        if (newline == NULL)
            break;
        end = (size_t)(newline - text) + 1;
    }
    return end;
}

enum status json_lines_keep(struct json_lines *lines, size_t count) {
    char *text;
    size_t size;
    TRY(file_read(lines->path, MOST_BYTES, &text, &size));
    size_t kept = whole_lines(text, size, count);
    free(text);
    if (kept < size && ftruncate(lines->file, (off_t)kept) != 0)
        return fail(STATUS_FAILED, "cannot shorten %s: %s", lines->path, strerror(errno));
    return STATUS_OK;
}

enum status json_lines_open(struct json_lines *lines, const char *path) {
    snprintf(lines->path, sizeof lines->path, "%s", path);
    lines->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (lines->file < 0)
        return fail(STATUS_FAILED, "cannot open %s for writing: %s", path, strerror(errno));
    enum status status = json_lines_keep(lines, SIZE_MAX);
    if (status != STATUS_OK)
        json_lines_close(lines);
    return status;
}

void json_lines_close(struct json_lines *lines) {
    if (lines->file >= 0)
        close(lines->file);
    lines->file = -1;
}

/* One write() per line, so that a line is torn by a crash of the machine only. */
static enum status write_line(const struct json_lines *lines, char *text) {
    size_t left = strlen(text) + 1;
    text[left - 1] = '\n';
    while (left > 0) {
        ssize_t written = write(lines->file, text, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail(STATUS_FAILED, "cannot write to %s: %s", lines->path, strerror(errno));
        text += written;
        left -= (size_t)written;
    }
    return STATUS_OK;
}

enum status json_lines_append(struct json_lines *lines, json_t *object) {
    char *text = json_text(object, JSON_REAL_PRECISION(17));
    json_decref(object);
    if (text == NULL)
        return fail(STATUS_FAILED,
                    "a line for %s cannot be made: no memory, or a number that is "
                    "not finite",
                    lines->path);
    enum status status = write_line(lines, text);
    free(text);
    return status;
}

enum status json_lines_sync(struct json_lines *lines) {
    if (fdatasync(lines->file) != 0)
        return fail(STATUS_FAILED, "cannot sync %s: %s", lines->path, strerror(errno));
    return STATUS_OK;
}

static enum status read_lines(const char *path, const char *text, size_t size, json_t *array) {
    size_t end = whole_lines(text, size, SIZE_MAX);
    for (size_t start = 0; start < end;) {
        size_t length = whole_lines(text + start, end - start, 1);
        json_error_t error;
        json_t *object = json_read(text + start, length, &error);
        if (object == NULL && json_lacked_memory())
            return fail(STATUS_FAILED, "no memory for the lines of %s", path);
        if (object == NULL)
            return fail(STATUS_USAGE, "%s:%zu: not a JSON object: %s", path,
                        json_array_size(array) + 1, error.text);
        if (json_array_append_new(array, object) != 0)
            return fail(STATUS_FAILED, "no memory for the lines of %s", path);
        start += length;
    }
    return STATUS_OK;
}

enum status json_lines_read(const char *path, json_t **array) {
    *array = json_array();
    if (!file_exists(path))
        return STATUS_OK;
    char *text = NULL;
    size_t size = 0;
    enum status status = file_read(path, MOST_BYTES, &text, &size);
    if (status == STATUS_OK)
        status = read_lines(path, text, size, *array);
    free(text);
    if (status != STATUS_OK) {
        json_decref(*array);
        *array = NULL;
    }
    return status;
}
