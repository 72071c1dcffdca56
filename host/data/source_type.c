#include "data/source_type.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool is_picture_name(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".ppm", ".pgm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

enum status path_in(char path[PATH_MAX], const char *folder, const char *name) {
    int length = name[0] == '/' ? snprintf(path, PATH_MAX, "%s", name)
                                : snprintf(path, PATH_MAX, "%s/%s", folder, name);
    if (length >= PATH_MAX)
        return fail(STATUS_USAGE, "%.200s...: the name is too long", path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return STATUS_OK;
}

void part_end(struct source_part *part, enum status status) {
    part->status = status;
    if (status != STATUS_OK) {
        part->failure = strdup(failure());
        failure_clear();
    }
}

static void part_release(struct source_part *part) {
    picture_list_release(&part->list);
    sentences_release(&part->faults);
    sentences_release(&part->notes);
    free(part->failure);
}

static enum status join(struct picture_source *source, struct source_part *parts, int count,
                        struct picture_list *lists) {
    for (int i = 0; i < count; i++) {
        if (parts[i].status != STATUS_OK)
            return fail(parts[i].status, "%s",
                        parts[i].failure != NULL ? parts[i].failure : "no memory");
        sentences_join(&source->faults, &parts[i].faults);
        sentences_join(&source->notes, &parts[i].notes);
    }
    for (int i = 0; i < count; i++) { /* given away: nobody else frees them */
        lists[i] = parts[i].list;
        parts[i].list = (struct picture_list){0};
    }
    enum status status = picture_list_join(&source->list, lists, count);
    for (int i = 0; i < count; i++)
        picture_list_release(&lists[i]);
    return status;
}

enum status parts_join(struct picture_source *source, struct source_part *parts, int count) {
    struct picture_list *lists;
    enum status status;
    TRY_CLEANUP(allocate(&lists, (size_t)count, sizeof *lists, "the list of pictures"));
    status = join(source, parts, count, lists);
    free(lists);
done:
    for (int i = 0; i < count; i++)
        part_release(&parts[i]);
    return status;
}
