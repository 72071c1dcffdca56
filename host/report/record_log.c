/* log.jsonl for a report: curves of the trainings, and where the run ran. */
#include "report/json_lines.h"
#include "report/record_read.h"
#include "support/memory.h"

#include <string.h>

static enum status add_point(struct curve *curve, const json_t *line, size_t room) {
    struct curve_point point;
    double steps;
    json_error_t error;
    if (json_unpack_ex((json_t *)line, &error, 0, "{s:F, s:F, s:F, s:F, s:F, s:F, s:F}", "at",
                       &point.at, "of", &steps, "loss", &point.loss, "accuracy", &point.accuracy,
                       "learning_rate", &point.rate, "images_per_second", &point.speed, "waiting",
                       &point.waiting) != 0)
        return fail(STATUS_USAGE, "not a line of progress: %s", error.text);
    if (curve->points == NULL)
        TRY(allocate(&curve->points, room, sizeof *curve->points, "a training curve"));
    /* A training that was killed goes on from its last save: what it did after that is repeated. */
    while (curve->count > 0 && curve->points[curve->count - 1].at >= point.at)
        curve->count--;
    curve->points[curve->count++] = point;
    curve->steps = steps;
    return STATUS_OK;
}

static void take_text(const json_t *line, const char *key, char text[RECORD_TEXT]) {
    const char *value = json_string_value(json_object_get(line, key));
    snprintf(text, RECORD_TEXT, "%s", value ? value : "");
}

static void take_environment(struct run_record *record, const json_t *line) {
    take_text(line, "version", record->version);
    take_text(line, "build", record->build);
    take_text(line, "device", record->device);
    take_text(line, "processor", record->processor);
    record->threads = (int)json_integer_value(json_object_get(line, "threads"));
}

/* Every step that meets a picture names it again. */
static enum status take_bad_picture(struct run_record *record, const json_t *line) {
    const char *sentence = json_string_value(json_object_get(line, "text"));
    if (sentence == NULL)
        return fail(STATUS_USAGE, "a bad picture without \"text\"");
    if (record->bad == NULL)
        TRY(bad_pictures_create(&record->bad, -1));
    return bad_pictures_note(record->bad, sentence);
}

static enum status read_line(struct run_record *record, const json_t *line, size_t room) {
    const char *event = json_string_value(json_object_get(line, "event"));
    const char *step = json_string_value(json_object_get(line, "step"));
    if (event == NULL)
        return fail(STATUS_USAGE, "an object without \"event\"");
    if (strcmp(event, "start") == 0)
        take_environment(record, line);
    if (strcmp(event, "bad picture") == 0)
        return take_bad_picture(record, line);
    if (strcmp(event, "progress") == 0 && step && strcmp(step, "supernet") == 0)
        return add_point(&record->supernet, line, room);
    if (strcmp(event, "progress") == 0 && step && strcmp(step, "train") == 0)
        return add_point(&record->train, line, room);
    return STATUS_OK;
}

enum status record_read_log(struct run_record *record) {
    char path[RECORD_PATH];
    json_t *lines;
    enum status status = STATUS_OK;
    TRY(json_lines_read(record_path(record, "log.jsonl", path), &lines));
    size_t count = json_array_size(lines), at = 0;
    for (; at < count && status == STATUS_OK; at++)
        status = read_line(record, json_array_get(lines, at), count);
    json_decref(lines);
    return status == STATUS_OK ? status : fail_in(status, "%s:%zu", path, at);
}
