#include "data/class_list.h"
#include "data/dataset.h"
#include "support/file.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 26 };

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines + 1;
}

static enum status check_folder(const char *folder, const char *path, int line) {
    if (folder[0] == '\0')
        return fail(STATUS_USAGE, "%s:%d: a tab stands where a class begins", path, line);
    if (folder[0] == '.' || strchr(folder, '/') != NULL)
        return fail(STATUS_USAGE, "%s:%d: '%.100s' is no name of a class's folder", path, line,
                    folder);
    return STATUS_OK;
}

static enum status take_line(struct class_list *list, char *text, const char *path, int line) {
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '\r')
        text[--length] = '\0';
    if (length == 0)
        return STATUS_OK;
    char *tab = strchr(text, '\t');
    if (tab != NULL)
        *tab = '\0';
    TRY(check_folder(text, path, line));
    if (list->count == MOST_CLASSES)
        return fail(STATUS_USAGE, "%s:%d: more than %d classes", path, line, MOST_CLASSES);
    list->titles[list->count] = tab != NULL && tab[1] != '\0' ? tab + 1 : text;
    list->folders[list->count++] = text;
    return STATUS_OK;
}

static int compare(const void *a, const void *b, void *list) {
    const char **folders = ((struct class_list *)list)->folders;
    int order = strcmp(folders[*(const int *)a], folders[*(const int *)b]);
    return order != 0 ? order : *(const int *)a - *(const int *)b;
}

static enum status sort(struct class_list *list, const char *path) {
    for (int label = 0; label < list->count; label++)
        list->by_folder[label] = label;
    qsort_r(list->by_folder, (size_t)list->count, sizeof(int), compare, list);
    for (int i = 1; i < list->count; i++) {
        const char *folder = list->folders[list->by_folder[i]];
        if (strcmp(folder, list->folders[list->by_folder[i - 1]]) == 0)
            return fail(STATUS_USAGE, "%s has the class '%.100s' twice", path, folder);
    }
    return STATUS_OK;
}

static enum status parse(struct class_list *list, size_t size, const char *path) {
    if (strlen(list->text) != size)
        return fail(STATUS_USAGE, "%s is no list of classes: a byte of it is 0", path);
    size_t lines = (size_t)count_lines(list->text);
    TRY(allocate(&list->folders, lines, sizeof *list->folders, path));
    TRY(allocate(&list->titles, lines, sizeof *list->titles, path));
    TRY(allocate(&list->by_folder, lines, sizeof *list->by_folder, path));
    char *rest = list->text, *line;
    for (int number = 1; (line = strsep(&rest, "\n")) != NULL; number++)
        TRY(take_line(list, line, path, number));
    if (list->count == 0)
        return fail(STATUS_USAGE, "%s names no class", path);
    return sort(list, path);
}

enum status class_list_parse(struct class_list *list, char *text, size_t size, const char *path) {
    *list = (struct class_list){.text = text};
    enum status status = parse(list, size, path);
    if (status != STATUS_OK)
        class_list_release(list);
    return status;
}

enum status class_list_read(struct class_list *list, const char *path) {
    char *text;
    size_t size;
    *list = (struct class_list){0};
    TRY(file_read(path, MOST_BYTES, &text, &size));
    return class_list_parse(list, text, size, path);
}

int class_list_find(const struct class_list *list, const char *folder) {
    int low = 0, high = list->count - 1;
    while (low <= high) {
        int middle = low + (high - low) / 2, label = list->by_folder[middle];
        int order = strcmp(folder, list->folders[label]);
        if (order == 0)
            return label;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}

enum status class_list_compare(const struct class_list *list, const char *path,
                               const struct class_list *other, const char *other_path) {
    int label = 0;
    while (label < list->count && label < other->count &&
           strcmp(list->folders[label], other->folders[label]) == 0)
        label++;
    if (label < list->count && label < other->count)
        return fail(STATUS_USAGE, "class %d is '%.100s' in %s, but '%.100s' in %s", label,
                    list->folders[label], path, other->folders[label], other_path);
    if (label < list->count)
        return fail(STATUS_USAGE, "class %d, '%.100s' in %s, is not in %s", label,
                    list->folders[label], path, other_path);
    if (label < other->count)
        return fail(STATUS_USAGE, "class %d, '%.100s' in %s, is not in %s", label,
                    other->folders[label], other_path, path);
    return STATUS_OK;
}

void class_list_write(const struct class_list *list, FILE *file) {
    for (int label = 0; label < list->count; label++) {
        fputs(list->folders[label], file);
        if (list->titles[label] != list->folders[label])
            fprintf(file, "\t%s", list->titles[label]);
        fputc('\n', file);
    }
}

void class_list_release(struct class_list *list) {
    free(list->text);
    free(list->folders);
    free(list->titles);
    free(list->by_folder);
    *list = (struct class_list){0};
}
