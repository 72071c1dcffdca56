/* The source "folder": FOLDER/train/CLASS/.../PICTURE and FOLDER/val/CLASS/... (or test). Classes
 * are the folders of the training part sorted by name, or those of the class list in its order. */
#include "data/folder_walk.h"
#include "support/file.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder_source {
    int folder;       /* open: pictures are looked up from here */
    const char *name; /* "train", in the source's path: before the names of pictures */
};

static enum status part_path(char path[PATH_MAX], const struct data_config *config,
                             enum data_part part) {
    const char *name = part == DATA_TRAIN ? config->train : config->test;
    if (name[0] != '\0')
        return path_in(path, config->folder, name);
    TRY(path_in(path, config->folder, part == DATA_TRAIN ? "train" : "val"));
    if (part == DATA_TEST && !file_exists(path))
        return path_in(path, config->folder, "test");
    return STATUS_OK;
}

/* Sorted, as a list of classes; `path` is said in errors. */
static enum status list_of_folders(struct class_list *list, const char *path) {
    struct class_list found;
    char *text;
    size_t size;
    TRY(folder_list(path, &text, &size));
    TRY(class_list_parse(&found, text, size, path));
    for (int i = 0; i < found.count; i++) /* no titles: both arrays are the same */
        found.titles[i] = found.folders[found.by_folder[i]];
    for (int i = 0; i < found.count; i++) {
        found.folders[i] = found.titles[i];
        found.by_folder[i] = i;
    }
    *list = found;
    return STATUS_OK;
}

static enum status find_classes(struct class_list *list, const struct data_config *config) {
    char path[PATH_MAX];
    if (config->class_list[0] != '\0')
        return class_list_read(list, config->class_list);
    TRY(part_path(path, config, DATA_TRAIN));
    if (!file_exists(path))
        return fail(STATUS_USAGE,
                    "%s does not exist: it says which classes there are, or data.class_list does",
                    path);
    return list_of_folders(list, path);
}

/* A folder without a label would be pictures that nobody misses. */
static enum status check_folders(const struct picture_source *source,
                                 const struct data_config *config, enum data_part part,
                                 bool *present) {
    struct class_list found;
    enum status status = STATUS_OK;
    TRY(list_of_folders(&found, source->path));
    for (int i = 0; i < found.count; i++) {
        int label = class_list_find(&source->classes, found.folders[i]);
        if (label >= 0)
            present[label] = true;
        else if (config->class_list[0] == '\0')
            status = fail(STATUS_USAGE, "%s/%s is no class: the training part has no such folder",
                          source->path, found.folders[i]);
    }
    for (int label = 0; label < source->classes.count && part == DATA_TRAIN; label++)
        if (!present[label])
            status = fail(STATUS_USAGE, "%s has no folder '%s', which %s names", source->path,
                          source->classes.folders[label], config->class_list);
    class_list_release(&found);
    return status;
}

struct folder_work {
    const struct picture_source *source;
    const bool *present;
    struct source_part *parts; /* [classes] */
};

static void walk_class(void *context, int label, int worker) {
    struct folder_work *work = context;
    struct source_part *part = &work->parts[label];
    (void)worker;
    if (work->present[label])
        part_end(part, folder_walk(part, work->source->path, work->source->classes.folders[label],
                                   label));
}

static enum status walk_classes(struct picture_source *source, const struct data_config *config,
                                enum data_part which, struct pool *pool) {
    int classes = source->classes.count;
    struct folder_work work = {.source = source};
    bool *present;
    TRY(allocate(&present, (size_t)classes, sizeof *present, "the list of classes"));
    work.present = present;
    enum status status = check_folders(source, config, which, present);
    if (status == STATUS_OK)
        status = allocate(&work.parts, (size_t)classes, sizeof *work.parts, "the list of classes");
    if (status == STATUS_OK) {
        pool_run(pool, classes, walk_class, &work);
        status = parts_join(source, work.parts, classes);
    }
    free(work.parts);
    free(present);
    return status;
}

static enum status folder_open(struct picture_source *source, const struct data_config *config,
                               enum data_part part, struct pool *pool) {
    struct folder_source *own;
    TRY(part_path(source->path, config, part));
    TRY(allocate(&own, 1, sizeof *own, "the source of pictures"));
    source->own = own;
    own->folder = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own->folder < 0)
        return fail(STATUS_USAGE, "cannot open folder %s: %s", source->path, strerror(errno));
    const char *slash = strrchr(source->path, '/');
    own->name = slash != NULL ? slash + 1 : source->path;
    TRY(find_classes(&source->classes, config));
    return walk_classes(source, config, part, pool);
}

static enum status open_picture(const struct picture_source *source, int picture, int *file,
                                uint64_t *size) {
    const struct folder_source *own = source->own;
    char path[PATH_MAX];
    struct stat facts;
    int label = picture_source_label(source, picture);
    int length = snprintf(path, sizeof path, "%s/%s", source->classes.folders[label],
                          picture_list_name(&source->list, (size_t)picture));
    if (length >= (int)sizeof path)
        return fail(STATUS_USAGE, "its name is too long");
    /* O_NONBLOCK: a pipe of that name would wait for a writer */
    *file = openat(own->folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0)
        return fail(errno == EMFILE || errno == ENFILE || errno == ENOMEM ? STATUS_FAILED
                                                                          : STATUS_USAGE,
                    "cannot be opened: %s", strerror(errno));
    enum status status = STATUS_OK;
    if (fstat(*file, &facts) != 0)
        status = fail(STATUS_FAILED, "cannot be read: %s", strerror(errno));
    else if (!S_ISREG(facts.st_mode))
        status = fail(STATUS_USAGE, "is no file");
    else
        *size = (uint64_t)facts.st_size;
    if (status != STATUS_OK)
        close(*file);
    return status;
}

static enum status folder_read(const struct picture_source *source, int picture,
                               struct picture_bytes *bytes) {
    uint64_t size;
    int file;
    TRY(open_picture(source, picture, &file, &size));
    enum status status = STATUS_OK;
    if (size > MOST_PICTURE_BYTES)
        status = fail(STATUS_USAGE, "has %ju bytes; at most %d are read", (uintmax_t)size,
                      MOST_PICTURE_BYTES);
    else
        status = picture_bytes_resize(bytes, (size_t)size);
    if (status == STATUS_OK)
        status = file_read_at(file, "it", 0, bytes->data, bytes->size);
    close(file);
    return status;
}

static enum status folder_size(const struct picture_source *source, int picture, uint64_t *size) {
    int file;
    TRY(open_picture(source, picture, &file, size));
    close(file);
    return STATUS_OK;
}

static void folder_name_of(const struct picture_source *source, int picture,
                           char text[PICTURE_NAME]) {
    const struct folder_source *own = source->own;
    snprintf(text, PICTURE_NAME, "%s/%s/%s", own->name,
             source->classes.folders[picture_source_label(source, picture)],
             picture_list_name(&source->list, (size_t)picture));
}

static void folder_close(struct picture_source *source) {
    struct folder_source *own = source->own;
    if (own->folder >= 0)
        close(own->folder);
    free(own);
}

const struct source_type source_folder = {"folder",    folder_open,    folder_read,
                                          folder_size, folder_name_of, folder_close};
