#include "training/evaluation_file.h"
#include "data/png.h"
#include "support/base64.h"
#include "support/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *classes_of(const struct tables *tables, const struct class_names *names) {
    json_t *classes = json_array();
    for (int label = 0; label < tables->classes; label++) {
        char name[MAX_CLASS_NAME];
        int images = tables->of_class[label].images, correct = tables->of_class[label].correct;
        json_t *accuracy = images > 0 ? json_real((double)correct / images) : json_null();
        json_array_append_new(classes, json_pack("{s:s, s:i, s:i, s:o}", "name",
                                                 class_name(names, label, name), "images", images,
                                                 "correct", correct, "accuracy", accuracy));
    }
    return classes;
}

static json_t *confusion_of(const struct tables *tables) {
    int cells[MOST_MATRIX_CLASSES * MOST_MATRIX_CLASSES], classes = tables->classes;
    if (classes > MOST_MATRIX_CLASSES)
        return json_null();
    json_t *rows = json_array();
    tables_matrix(tables, cells);
    for (int label = 0; label < classes; label++) {
        json_t *row = json_array();
        for (int c = 0; c < classes; c++)
            json_array_append_new(row, json_integer(cells[label * classes + c]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *confused_of(const struct tables *tables) {
    json_t *list = json_array();
    for (int i = 0; i < tables->confusion_count && i < MOST_CONFUSED; i++) {
        const struct confusion *confusion = &tables->confusions[i];
        json_array_append_new(list,
                              json_pack("{s:i, s:i, s:i}", "label", confusion->label, "predicted",
                                        confusion->predicted, "images", confusion->images));
    }
    return list;
}

/* A picture as a text that an <img> shows. */
static enum status picture_text(const struct pictures *pictures, int image, char **text) {
    size_t bytes = (size_t)pictures->height * (size_t)pictures->width * (size_t)pictures->channels;
    const struct raster raster = {.height = pictures->height,
                                  .width = pictures->width,
                                  .channels = pictures->channels,
                                  .pixels = pictures->pixels + (size_t)image * bytes};
    uint8_t *file;
    size_t size;
    TRY(png_encode(&raster, &file, &size));
    enum status status = base64_text(text, "data:image/png;base64,", file, size);
    free(file);
    return status;
}

static enum status add_hardest(json_t *list, const struct tables *tables,
                               const struct pictures *pictures) {
    for (int i = 0; i < tables->hardest_count; i++) {
        const struct hard_image *hard = &tables->hardest[i];
        char *text;
        TRY(picture_text(pictures, hard->image, &text));
        json_array_append_new(list,
                              json_pack("{s:i, s:i, s:i, s:f, s:f, s:s}", "index", hard->image,
                                        "label", hard->label, "predicted", hard->predicted,
                                        "probability", hard->probability, "label_probability",
                                        hard->label_probability, "picture", text));
        free(text);
    }
    return STATUS_OK;
}

static enum status write_object(const char *path, const json_t *object) {
    char *text = object ? json_dumps(object, JSON_REAL_PRECISION(10)) : NULL;
    if (text == NULL)
        return fail(STATUS_FAILED, "no memory for %s", path);
    const struct file_part parts[] = {{text, strlen(text)}, {"\n", 1}};
    enum status status = file_replace(path, parts, 2);
    free(text);
    return status;
}

enum status evaluation_write(const char *path, const char *network, const struct tables *tables,
                             const struct class_names *names, const struct pictures *pictures) {
    double images = tables->images;
    json_t *hardest = json_array(); /* the object's, after it is packed */
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "format", "taper evaluation 2",
        "network", network, "images", tables->images, "top1", tables->top1 / images, "top5",
        tables->top5 / images, "loss", tables->loss, "classes", classes_of(tables, names),
        "confusion", confusion_of(tables), "confused", confused_of(tables), "hardest", hardest);
    enum status status = object ? add_hardest(hardest, tables, pictures)
                                : fail(STATUS_FAILED, "no memory for %s", path);
    if (status == STATUS_OK)
        status = write_object(path, object);
    json_decref(object);
    return status;
}
