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

enum status samples_read(const char *path, const struct search_space *space, const char *hash,
                         struct sample **samples, int *count) {
    json_t *lines;
    *samples = NULL;
    *count = 0;
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

/* Scores of the same search only: numbers begin anew in another one. */
static enum status take_up_scores(struct sample_file *file, const char *path) {
    json_t *lines;
    TRY(json_lines_read(path, &lines));
    file->known = json_object();
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const char *hash = json_string_value(json_object_get(line, "config_hash"));
        const char *number = json_string_value(json_object_get(line, "number"));
        if (hash && number && strcmp(hash, file->hash) == 0)
            json_object_set(file->known, number, json_object_get(line, "score"));
    }
    json_decref(lines);
    return json_lines_open(&file->scores, path);
}

enum status sample_file_open(struct sample_file *file, const char *path, const char *scores_path,
                             const struct search_space *space, const char *hash) {
    *file = (struct sample_file){.lines.file = -1, .scores.file = -1, .space = space};
    snprintf(file->hash, sizeof file->hash, "%s", hash);
    TRY(take_up_scores(file, scores_path));
    return json_lines_open(&file->lines, path);
}

void sample_file_close(struct sample_file *file) {
    json_lines_close(&file->lines);
    json_lines_close(&file->scores);
    json_decref(file->known);
    file->known = NULL;
}

enum status sample_file_keep(struct sample_file *file, int count) {
    return json_lines_keep(&file->lines, (size_t)count);
}

bool sample_file_score(const struct sample_file *file, struct sample *sample) {
    char number[16];
    snprintf(number, sizeof number, "%d", sample->number);
    const json_t *score = json_object_get(file->known, number);
    sample->score = json_number_value(score);
    return json_is_number(score);
}

enum status sample_file_keep_score(struct sample_file *file, const struct sample *sample) {
    char number[16];
    snprintf(number, sizeof number, "%d", sample->number);
    return json_lines_append(&file->scores, json_pack("{s:s, s:f, s:s}", "number", number, "score",
                                                      sample->score, "config_hash", file->hash));
}

enum status sample_file_append(struct sample_file *file, const struct sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        json_t *line = sample_to_json(file->space, &samples[i]);
        if (json_object_set_new(line, "config_hash", json_string(file->hash)) != 0) {
            json_decref(line);
            return fail(STATUS_FAILED, "no memory for the samples of the search");
        }
        TRY(json_lines_append(&file->lines, line));
    }
    TRY(json_lines_sync(&file->lines));
    return json_lines_keep(&file->scores, 0);
}
