#include "data/picture_source.h"
#include "data/source_type.h"
#include "support/characters.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct source_type *const types[] = {&source_folder, &source_shards, &source_pack};

static const struct source_type *type_of(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

bool picture_source_known(const char *name) {
    return type_of(name) != NULL;
}

/* How many classes: as the configuration says, as the list of them, as the labels. */
static enum status check_labels(struct picture_source *source, const struct data_config *config) {
    int largest = -1, where = 0;
    char name[PICTURE_NAME];
    for (int i = 0; i < picture_source_count(source); i++) {
        if (picture_source_label(source, i) <= largest)
            continue;
        largest = picture_source_label(source, i);
        where = i;
    }
    if (source->class_count == 0)
        source->class_count = source->classes.count > 0 ? source->classes.count : largest + 1;
    if (config->classes > 0 && source->classes.count > 0 && config->classes != source->class_count)
        return fail(STATUS_USAGE, "%s has %d classes, but data.classes is %d", source->path,
                    source->class_count, config->classes);
    if (config->classes > 0)
        source->class_count = config->classes;
    if (largest >= source->class_count)
        return fail(STATUS_USAGE, "%s has label %d, but there are %d classes",
                    picture_source_name(source, where, name), largest, source->class_count);
    return STATUS_OK;
}

static enum status open_as(struct picture_source *source, const struct data_config *config,
                           enum data_part part, struct pool *pool) {
    TRY(source->type->open(source, config, part, pool));
    if (picture_source_count(source) == 0 && source->faults.count > 0)
        return fail(STATUS_USAGE, "%s has no picture; the first of %d that cannot be read: %s",
                    source->path, source->faults.count,
                    source->faults.kept > 0 ? sentences_next(&source->faults, NULL) : "");
    if (picture_source_count(source) == 0)
        return fail(STATUS_USAGE, "%s has no picture", source->path);
    return check_labels(source, config);
}

enum status picture_source_open(struct picture_source **source, const struct data_config *config,
                                enum data_part part, struct pool *pool) {
    const struct source_type *type = type_of(config->source);
    *source = NULL;
    if (type == NULL)
        return fail(STATUS_USAGE,
                    "data.source \"%s\" holds no picture files; these do: \"folder\", "
                    "\"shards\" and \"pack\"",
                    config->source);
    struct picture_source *made;
    TRY(allocate(&made, 1, sizeof *made, "the source of pictures"));
    made->type = type;
    enum status status = open_as(made, config, part, pool);
    if (status == STATUS_OK)
        *source = made;
    else
        picture_source_close(made);
    return status;
}

void picture_source_close(struct picture_source *source) {
    if (source == NULL)
        return;
    if (source->own != NULL)
        source->type->close(source);
    picture_list_release(&source->list);
    class_list_release(&source->classes);
    sentences_release(&source->faults);
    sentences_release(&source->notes);
    free(source);
}

int picture_source_count(const struct picture_source *source) {
    return (int)source->list.count;
}

int picture_source_label(const struct picture_source *source, int picture) {
    return entry_label(&source->list.entries[picture]);
}

int picture_source_classes(const struct picture_source *source) {
    return source->class_count;
}

const struct class_list *picture_source_class_list(const struct picture_source *source) {
    return source->classes.count > 0 ? &source->classes : NULL;
}

const char *picture_source_path(const struct picture_source *source) {
    return source->path;
}

const char *picture_source_name(const struct picture_source *source, int picture,
                                char text[PICTURE_NAME]) {
    source->type->name_of(source, picture, text);
    make_one_line(text);
    return text;
}

enum status picture_source_read(const struct picture_source *source, int picture,
                                struct picture_bytes *bytes) {
    char name[PICTURE_NAME];
    enum status status = source->type->read(source, picture, bytes);
    if (status == STATUS_OK && bytes->size == 0)
        status = fail(STATUS_USAGE, "is empty");
    if (status != STATUS_OK)
        return fail_in(status, "%s", picture_source_name(source, picture, name));
    return STATUS_OK;
}

enum status picture_source_size(const struct picture_source *source, int picture, uint64_t *size) {
    char name[PICTURE_NAME];
    enum status status = source->type->size(source, picture, size);
    if (status != STATUS_OK)
        return fail_in(status, "%s", picture_source_name(source, picture, name));
    return STATUS_OK;
}

const struct sentences *picture_source_faults(const struct picture_source *source) {
    return &source->faults;
}

const struct sentences *picture_source_notes(const struct picture_source *source) {
    return &source->notes;
}
