#include "data/picture_list.h"
#include "support/memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "the list of pictures";

static enum status grow(void *pointer, size_t used, size_t needed, size_t *room, size_t size) {
    void *old, *grown;
    if (needed <= *room)
        return STATUS_OK;
    size_t larger = needed > *room + *room / 2 ? needed + 64 : *room + *room / 2;
    TRY(allocate(&grown, larger, size, what));
    memcpy(&old, pointer, sizeof old);
    if (used > 0)
        memcpy(grown, old, used * size);
    free(old);
    memcpy(pointer, &grown, sizeof grown);
    *room = larger;
    return STATUS_OK;
}

enum status picture_list_add(struct picture_list *list, const char *name, int label, uint32_t size,
                             uint32_t detail) {
    size_t bytes = strlen(name) + 1;
    if (list->names_size > MOST_PLACE - bytes)
        return fail(STATUS_USAGE, "there are too many pictures: their names fill %zu bytes",
                    list->names_size);
    TRY(grow(&list->entries, list->count, list->count + 1, &list->room, sizeof *list->entries));
    TRY(grow(&list->names, list->names_size, list->names_size + bytes, &list->names_room, 1));
    list->entries[list->count++] =
        (struct picture_entry){entry_at(list->names_size, label), size, detail};
    memcpy(list->names + list->names_size, name, bytes);
    list->names_size += bytes;
    return STATUS_OK;
}

const char *picture_list_name(const struct picture_list *list, size_t picture) {
    return list->names + entry_place(&list->entries[picture]);
}

static int compare(const void *a, const void *b, void *names) {
    return strcmp((const char *)names + entry_place(a), (const char *)names + entry_place(b));
}

void picture_list_sort(struct picture_list *list) {
    if (list->count > 1)
        qsort_r(list->entries, list->count, sizeof *list->entries, compare, list->names);
}

static void append(struct picture_list *list, const struct picture_list *part) {
    for (size_t i = 0; i < part->count; i++) {
        struct picture_entry entry = part->entries[i];
        entry.place_and_label += list->names_size;
        list->entries[list->count++] = entry;
    }
    if (part->names_size > 0)
        memcpy(list->names + list->names_size, part->names, part->names_size);
    list->names_size += part->names_size;
}

enum status picture_list_join(struct picture_list *list, struct picture_list *parts, int count) {
    size_t pictures = 0, bytes = 0;
    *list = (struct picture_list){0};
    for (int i = 0; i < count; i++) {
        pictures += parts[i].count;
        bytes += parts[i].names_size;
    }
    if (pictures > INT_MAX || bytes > MOST_PLACE)
        return fail(STATUS_USAGE, "%zu pictures are more than %d", pictures, INT_MAX);
    TRY(grow(&list->entries, 0, pictures, &list->room, sizeof *list->entries));
    TRY(grow(&list->names, 0, bytes, &list->names_room, 1));
    for (int i = 0; i < count; i++) {
        append(list, &parts[i]);
        picture_list_release(&parts[i]);
    }
    return STATUS_OK;
}

void picture_list_release(struct picture_list *list) {
    free(list->entries);
    free(list->names);
    *list = (struct picture_list){0};
}
