/* data.classes: how many classes there are, or their names. */
#include "config/keys.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static enum status read_name(const struct key *key, const struct node *node,
                             struct data_config *data) {
    char *name = data->class_names[data->class_name_count];
    TRY(read_text(node, key->path, name, MAX_CLASS_NAME));
    if (name[0] == '\0')
        return node_fail(node, "a name of %s is empty", key->path);
    for (int i = 0; i < data->class_name_count; i++)
        if (strcmp(data->class_names[i], name) == 0)
            return node_fail(node, "%s has the name '%s' twice", key->path, name);
    data->class_name_count++;
    return STATUS_OK;
}

/* Names do not set `classes`: with them the files say, too, how many there are. */
enum status classes_read(const struct key *key, const struct node *node, struct data_config *data) {
    data->classes = data->class_name_count = 0;
    free(data->class_names);
    data->class_names = NULL;
    if (node->kind != NODE_LIST) {
        long long number;
        TRY(read_integer(node, key->path, (long long)key->least, (long long)key->most, &number));
        data->classes = (int)number;
        return STATUS_OK;
    }
    if (node->count < 1) /* tree.h says how many at most */
        return node_fail(node, "%s is an empty list of names", key->path);
    TRY(allocate(&data->class_names, (size_t)node->count, sizeof *data->class_names, key->path));
    for (const struct node *entry = node->first; entry != NULL; entry = entry->next)
        TRY(read_name(key, entry, data));
    return STATUS_OK;
}

void classes_write(const struct data_config *data, FILE *file) {
    if (data->class_name_count == 0) {
        fprintf(file, "%d", data->classes);
        return;
    }
    for (int i = 0; i < data->class_name_count; i++) {
        fputs(i ? ", " : "[", file);
        write_text(data->class_names[i], file);
    }
    fputc(']', file);
}
