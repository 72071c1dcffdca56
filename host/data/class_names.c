#include "data/class_names.h"
#include "support/characters.h"
#include "support/file.h"

#include <stdio.h>

const char *class_name(const struct class_names *names, int label, char text[MAX_CLASS_NAME]) {
    const struct data_config *config = names->config;
    if (label < config->class_name_count)
        snprintf(text, MAX_CLASS_NAME, "%s", config->class_names[label]);
    else if (names->list != NULL && label < names->list->count)
        snprintf(text, MAX_CLASS_NAME, "%s", names->list->titles[label]);
    else
        snprintf(text, MAX_CLASS_NAME, "%d", label);
    make_one_line(text);
    make_utf8(text);
    return text;
}

static enum status path_of(const char *folder, char path[PATH_MAX]) {
    if (snprintf(path, PATH_MAX, "%s/classes.txt", folder) >= PATH_MAX)
        return fail(STATUS_USAGE, "%.200s...: the name is too long", folder);
    return STATUS_OK;
}

static enum status compare(const char *path, const struct picture_source *source) {
    struct class_list kept;
    TRY(class_list_read(&kept, path));
    enum status status = class_list_compare(picture_source_class_list(source),
                                            picture_source_path(source), &kept, path);
    class_list_release(&kept);
    if (status != STATUS_OK)
        return fail_in(status, "this run began with other classes, choose another --out for these");
    return STATUS_OK;
}

static void print(const void *list, FILE *file) {
    class_list_write(list, file);
}

enum status class_names_keep(const char *folder, const struct picture_source *source) {
    char path[PATH_MAX];
    const struct class_list *list = picture_source_class_list(source);
    if (list == NULL)
        return STATUS_OK;
    TRY(path_of(folder, path));
    if (file_exists(path))
        TRY(compare(path, source));
    return file_replace_text(path, print, list);
}

enum status class_names_read(struct class_list *list, const struct data_config *config,
                             const char *folder) {
    char path[PATH_MAX];
    *list = (struct class_list){0};
    TRY(path_of(folder, path));
    if (data_in_memory(config) || !file_exists(path))
        return STATUS_OK;
    return class_list_read(list, path);
}
