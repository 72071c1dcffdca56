#include "search/sample_file.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status read_samples(const struct search_space *space, const json_t *lines,
                                struct sample **samples, int *count) {
    *count = (int)json_array_size(lines);
    if (*count == 0)
        return STATUS_OK;
    TRY(allocate(samples, (size_t)*count, sizeof **samples, "the samples on file"));
    for (int i = 0; i < *count; i++) {
        json_t *line = json_array_get(lines, (size_t)i);
        json_object_del(line, "config_hash");
        TRY(sample_from_json(space, line, *samples + i));
    }
    return STATUS_OK;
}

static enum status set_aside(const char *path) {
    char previous[620];
    snprintf(previous, sizeof previous, "%s.previous", path);
    if (rename(path, previous) != 0)
        return fail(STATUS_FAILED, "cannot rename %s: %s", path, strerror(errno));
    return STATUS_OK;
}

static enum status take_up(const char *path, const struct search_space *space, const char *hash,
                           struct sample **samples, int *count) {
    json_t *lines;
    TRY(json_lines_read(path, &lines));
    enum status status = STATUS_OK;
    if (json_array_size(lines) > 0) {
        const char *theirs =
            json_string_value(json_object_get(json_array_get(lines, 0), "config_hash"));
        status = theirs && strcmp(theirs, hash) == 0 ? read_samples(space, lines, samples, count)
                                                     : set_aside(path);
    }
    json_decref(lines);
    return status == STATUS_OK ? status : fail_in(status, "%s", path);
}

enum status sample_file_open(struct sample_file *file, const char *path,
                             const struct search_space *space, const char *hash,
                             struct sample **samples, int *count) {
    *file = (struct sample_file){.lines.file = -1, .space = space};
    snprintf(file->hash, sizeof file->hash, "%s", hash);
    *samples = NULL;
    *count = 0;
    TRY(take_up(path, space, hash, samples, count));
    return json_lines_open(&file->lines, path);
}

void sample_file_close(struct sample_file *file) {
    json_lines_close(&file->lines);
}

enum status sample_file_keep(struct sample_file *file, int count) {
    return json_lines_keep(&file->lines, (size_t)count);
}

enum status sample_file_append(struct sample_file *file, const struct sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        json_t *line = sample_to_json(file->space, &samples[i]);
        json_object_set_new(line, "config_hash", json_string(file->hash));
        TRY(json_lines_append(&file->lines, line));
    }
    return json_lines_sync(&file->lines);
}
