#include "training/confusions.h"

#include <stdlib.h>

static int by_classes(const void *one, const void *other) {
    const struct confusion *a = one, *b = other;
    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    return (a->predicted > b->predicted) - (a->predicted < b->predicted);
}

static int by_images(const void *one, const void *other) {
    const struct confusion *a = one, *b = other;
    if (a->images != b->images)
        return a->images > b->images ? -1 : 1;
    return by_classes(one, other);
}

int confusions_merge(struct confusion *list, int count) {
    int merged = 0;
    if (count == 0)
        return 0;
    qsort(list, (size_t)count, sizeof *list, by_classes);
    for (int i = 1; i < count; i++) {
        if (by_classes(&list[merged], &list[i]) == 0)
            list[merged].images += list[i].images;
        else
            list[++merged] = list[i];
    }
    qsort(list, (size_t)merged + 1, sizeof *list, by_images);
    return merged + 1;
}
