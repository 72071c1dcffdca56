/* evaluation.json for a report. */
#include "report/record_read.h"
#include "support/file.h"
#include "support/json.h"
#include "support/memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_BYTES = 1 << 28 };

static enum status read_classes(struct evaluation_record *evaluation, const json_t *classes) {
    int count = (int)json_array_size(classes);
    TRY(allocate(&evaluation->classes, (size_t)count, sizeof *evaluation->classes, "the classes"));
    for (int i = 0; i < count; i++) {
        struct class_record *class = &evaluation->classes[i];
        json_error_t error;
        if (json_unpack_ex(json_array_get(classes, (size_t)i), &error, 0, "{s:s, s:i, s:i}", "name",
                           &class->name, "images", &class->images, "correct", &class->correct) != 0)
            return fail(STATUS_USAGE, "class %d: %s", i, error.text);
    }
    evaluation->class_count = count;
    return STATUS_OK;
}

static double share_right(const struct class_record *class) {
    return class->images > 0 ? (double)class->correct / class->images
                             : 2; /* without images: last */
}

static int by_share(const void *one, const void *other, void *classes) {
    const struct class_record *list = classes;
    int a = *(const int *)one, b = *(const int *)other;
    double first = share_right(&list[a]), second = share_right(&list[b]);
    return first != second ? (first > second) - (first < second) : (a > b) - (a < b);
}

static enum status sort_weakest(struct evaluation_record *evaluation) {
    size_t count = (size_t)evaluation->class_count;
    TRY(allocate(&evaluation->weakest, count, sizeof(int), "the classes"));
    for (size_t i = 0; i < count; i++)
        evaluation->weakest[i] = (int)i;
    qsort_r(evaluation->weakest, count, sizeof(int), by_share, evaluation->classes);
    return STATUS_OK;
}

static enum status read_matrix(struct evaluation_record *evaluation, const json_t *rows) {
    size_t classes = (size_t)evaluation->class_count;
    if (classes > MOST_MATRIX)
        return STATUS_OK;
    if (json_array_size(rows) != classes)
        return fail(STATUS_USAGE, "its confusion matrix has %zu rows for %zu classes",
                    json_array_size(rows), classes);
    TRY(allocate(&evaluation->confusion, classes * classes, sizeof(int), "a confusion matrix"));
    for (size_t label = 0; label < classes; label++) {
        const json_t *row = json_array_get(rows, label);
        for (size_t answer = 0; answer < classes; answer++) {
            const json_t *cell = json_array_get(row, answer);
            json_int_t images = json_integer_value(cell);
            if (json_array_size(row) != classes || !json_is_integer(cell) || images < 0 ||
                images > INT_MAX)
                return fail(STATUS_USAGE, "row %zu of its confusion matrix is not %zu counts",
                            label, classes);
            evaluation->confusion[label * classes + answer] = (int)images;
        }
    }
    return STATUS_OK;
}

static bool is_class(const struct evaluation_record *evaluation, int class) {
    return class >= 0 && class < evaluation->class_count;
}

static enum status read_confused(struct evaluation_record *evaluation, const json_t *list) {
    int count = (int)json_array_size(list);
    TRY(allocate(&evaluation->confused, (size_t)count, sizeof *evaluation->confused,
                 "confused classes"));
    for (int i = 0; i < count; i++) {
        struct confused_record *confused = &evaluation->confused[i];
        json_error_t error;
        if (json_unpack_ex(json_array_get(list, (size_t)i), &error, 0, "{s:i, s:i, s:i}", "label",
                           &confused->label, "predicted", &confused->predicted, "images",
                           &confused->images) != 0)
            return fail(STATUS_USAGE, "confusion %d: %s", i, error.text);
        if (!is_class(evaluation, confused->label) || !is_class(evaluation, confused->predicted))
            return fail(STATUS_USAGE, "confusion %d is of a class that there is not", i);
    }
    evaluation->confused_count = count;
    return STATUS_OK;
}

static enum status read_hardest(struct evaluation_record *evaluation, const json_t *list) {
    int count = (int)json_array_size(list);
    TRY(allocate(&evaluation->hardest, (size_t)count, sizeof *evaluation->hardest, "hard images"));
    for (int i = 0; i < count; i++) {
        struct hard_record *hard = &evaluation->hardest[i];
        json_error_t error;
        if (json_unpack_ex(json_array_get(list, (size_t)i), &error, 0,
                           "{s:i, s:i, s:i, s:F, s:F, s:s}", "index", &hard->index, "label",
                           &hard->label, "predicted", &hard->predicted, "probability",
                           &hard->probability, "label_probability", &hard->label_probability,
                           "picture", &hard->picture) != 0)
            return fail(STATUS_USAGE, "hard image %d: %s", i, error.text);
        if (!is_class(evaluation, hard->label) || !is_class(evaluation, hard->predicted))
            return fail(STATUS_USAGE, "hard image %d is of a class that there is not", i);
    }
    evaluation->hardest_count = count;
    return STATUS_OK;
}

static enum status read_object(struct evaluation_record *evaluation) {
    const json_t *classes, *confusion, *hardest;
    const json_t *confused = NULL; /* not in a file of an earlier version */
    json_error_t error;
    if (json_unpack_ex(evaluation->json, &error, 0, "{s:i, s:F, s:F, s:F, s:o, s:o, s?o, s:o}",
                       "images", &evaluation->images, "top1", &evaluation->top1, "top5",
                       &evaluation->top5, "loss", &evaluation->loss, "classes", &classes,
                       "confusion", &confusion, "confused", &confused, "hardest", &hardest) != 0)
        return fail(STATUS_USAGE, "not an evaluation: %s", error.text);
    if (!json_is_array(classes) || (confused != NULL && !json_is_array(confused)) ||
        !json_is_array(hardest))
        return fail(STATUS_USAGE, "its classes, confused and hardest are not all lists");
    TRY(read_classes(evaluation, classes));
    TRY(sort_weakest(evaluation));
    TRY(read_matrix(evaluation, confusion));
    TRY(read_confused(evaluation, confused));
    return read_hardest(evaluation, hardest);
}

/* Of another network than the trained one that lies there now. */
static bool is_older(const struct run_record *record, const char *path) {
    char trained[RECORD_PATH];
    struct stat ours, theirs;
    return stat(path, &ours) != 0 ||
           stat(record_path(record, "found.safetensors", trained), &theirs) != 0 ||
           ours.st_mtime < theirs.st_mtime;
}

enum status record_read_evaluation(struct run_record *record) {
    char path[RECORD_PATH], *text;
    size_t size;
    json_error_t error;
    if (!file_exists(record_path(record, "evaluation.json", path)) || is_older(record, path))
        return STATUS_OK;
    TRY(file_read(path, MOST_BYTES, &text, &size));
    record->evaluation.json = json_read(text, size, &error);
    free(text);
    if (json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for %s", path);
    if (record->evaluation.json == NULL)
        return fail(STATUS_USAGE, "%s:%d: not JSON: %s", path, error.line, error.text);
    enum status status = read_object(&record->evaluation);
    return status == STATUS_OK ? status : fail_in(status, "%s", path);
}
