/* The source "shards": tar files as WebDataset has them (shard_index.h). */
#include "data/shard_index.h"
#include "data/shard_names.h"
#include "data/tar.h"
#include "support/file.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct shard_source {
    struct shard_names names;
    int *files;    /* [shards]; -1: opened for every picture, as so many cannot stay open */
    size_t *first; /* [shards + 1]: the first picture of each */
};

struct shard_work {
    struct shard_source *own;
    struct source_part *parts; /* [shards] */
    int most_open;
};

static enum status open_shard(const char *path, int *file) {
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0)
        return fail(STATUS_USAGE, "cannot open %s: %s", path, strerror(errno));
    posix_fadvise(*file, 0, 0, POSIX_FADV_RANDOM); /* else reads for headers fetch pictures too */
    return STATUS_OK;
}

static enum status index_shard(struct shard_work *work, int shard) {
    const char *path = work->own->names.paths[shard];
    int file;
    TRY(open_shard(path, &file));
    enum status status = shard_index(&work->parts[shard], file, path);
    if (shard < work->most_open)
        work->own->files[shard] = file;
    else
        close(file);
    return status;
}

static void index_piece(void *context, int shard, int worker) {
    struct shard_work *work = context;
    (void)worker;
    part_end(&work->parts[shard], index_shard(work, shard));
}

/* A quarter of the files that this process may open: there are two parts, and more than data. */
static int most_open(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 4 > MOST_SHARDS)
        return MOST_SHARDS;
    return (int)(limit.rlim_cur / 4);
}

static enum status index_all(struct picture_source *source, struct pool *pool) {
    struct shard_source *own = source->own;
    int shards = own->names.count;
    struct shard_work work = {.own = own, .most_open = most_open()};
    size_t room = (size_t)shards;
    TRY(allocate(&own->files, room, sizeof *own->files, "the list of shards"));
    for (int i = 0; i < shards; i++)
        own->files[i] = -1;
    TRY(allocate(&own->first, room + 1, sizeof *own->first, "the list of shards"));
    TRY(allocate(&work.parts, room, sizeof *work.parts, "the list of shards"));
    pool_run(pool, shards, index_piece, &work);
    for (int i = 0; i < shards; i++)
        own->first[i + 1] = own->first[i] + work.parts[i].list.count;
    enum status status = parts_join(source, work.parts, shards);
    free(work.parts);
    return status;
}

static enum status shards_open(struct picture_source *source, const struct data_config *config,
                               enum data_part part, struct pool *pool) {
    const char *pattern = part == DATA_TRAIN ? config->train : config->test;
    struct shard_source *own;
    if (pattern[0] == '\0')
        pattern = part == DATA_TRAIN ? "train-*.tar" : "val-*.tar";
    TRY(path_in(source->path, config->folder, pattern));
    TRY(allocate(&own, 1, sizeof *own, "the source of pictures"));
    source->own = own;
    if (config->class_list[0] != '\0')
        TRY(class_list_read(&source->classes, config->class_list));
    TRY(shard_names_find(&own->names, source->path));
    return index_all(source, pool);
}

static int shard_of(const struct shard_source *own, int picture) {
    int low = 0, high = own->names.count - 1;
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        if (own->first[middle] <= (size_t)picture)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static enum status shards_read(const struct picture_source *source, int picture,
                               struct picture_bytes *bytes) {
    const struct shard_source *own = source->own;
    const struct picture_entry *entry = &source->list.entries[picture];
    int shard = shard_of(own, picture), file = own->files[shard];
    TRY(picture_bytes_resize(bytes, entry->size));
    if (own->files[shard] < 0)
        TRY(open_shard(own->names.paths[shard], &file));
    enum status status =
        file_read_at(file, own->names.paths[shard], (uint64_t)entry->detail * TAR_BLOCK,
                     bytes->data, bytes->size);
    if (own->files[shard] < 0)
        close(file);
    return status;
}

static enum status shards_size(const struct picture_source *source, int picture, uint64_t *size) {
    *size = source->list.entries[picture].size;
    return STATUS_OK;
}

static void shards_name_of(const struct picture_source *source, int picture,
                           char text[PICTURE_NAME]) {
    const struct shard_source *own = source->own;
    const char *path = own->names.paths[shard_of(own, picture)], *slash = strrchr(path, '/');
    snprintf(text, PICTURE_NAME, "%s: %s", slash != NULL ? slash + 1 : path,
             picture_list_name(&source->list, (size_t)picture));
}

static void shards_close(struct picture_source *source) {
    struct shard_source *own = source->own;
    for (int i = 0; i < own->names.count && own->files != NULL; i++)
        if (own->files[i] >= 0)
            close(own->files[i]);
    shard_names_release(&own->names);
    free(own->files);
    free(own->first);
    free(own);
}

const struct source_type source_shards = {"shards",    shards_open,    shards_read,
                                          shards_size, shards_name_of, shards_close};
