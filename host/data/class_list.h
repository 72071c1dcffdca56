/* The classes of a data set in the order of their labels.
 *
 * As text, of a file or inside a pack: a line per class, FOLDER, or FOLDER, a tab and the NAME to
 * show. Empty lines do not count.
 */
#ifndef TAPER_CLASS_LIST_H
#define TAPER_CLASS_LIST_H

#include "support/status.h"
#include <stddef.h>
#include <stdio.h>

struct class_list {
    int count;
    char *text;           /* holds the names; owned, as the arrays are */
    const char **folders; /* [count] */
    const char **titles;  /* [count]: what is shown, the folder where nothing else was given */
    int *by_folder;       /* [count]: labels, sorted by folder */
};

/* `text` (size bytes, then a 0) becomes the list's, also after an error. Errors name `path` and the
 * line: a class that is there twice, a name that is no folder's, none or more than MOST_CLASSES. */
enum status class_list_parse(struct class_list *list, char *text, size_t size, const char *path);
enum status class_list_read(struct class_list *list, const char *path);

/* The label of a folder, or -1. */
int class_list_find(const struct class_list *list, const char *folder);

/* An error that names the first class whose folder differs, or that only one of the lists has; both
 * paths say where they are from. Titles may differ. */
enum status class_list_compare(const struct class_list *list, const char *path,
                               const struct class_list *other, const char *other_path);

/* The text, as it can be parsed again. */
void class_list_write(const struct class_list *list, FILE *file);
void class_list_release(struct class_list *list);

#endif
