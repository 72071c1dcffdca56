/* How long a source of COUNT pictures takes to open, and what memory it then holds.
 *
 *   bench_sources folder|shards|pack COUNT FOLDER [THREADS]
 *
 * Makes the data set in FOLDER, unless it is there already: COUNT empty files in 1000 classes;
 * shards of 10,000 pictures of 100 kB each; a pack of pictures of 100 kB. Their data are holes of
 * sparse files: opening does not read them. Prints one JSON row. What was made stays in the memory
 * that the system caches files in, unless that is dropped between two calls. */
#include "data/pack_format.h"
#include "data/picture_source.h"
#include "data/tar.h"
#include "support/file.h"
#include "support/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLASSES = 1000, PICTURE = 100000, SHARD = 10000 };

static enum status create(const char *path, int *file) {
    *file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (*file < 0)
        return fail(STATUS_FAILED, "cannot create %s: %s", path, strerror(errno));
    return STATUS_OK;
}

/* Names as long as ImageNet's: train/n00000012/n00000012_345.JPEG. */
static enum status make_folder(const char *folder, int count) {
    char path[PATH_MAX];
    int file;
    for (int i = 0; i < count; i++) {
        int class = i % CLASSES;
        snprintf(path, sizeof path, "%s/train/n%08d", folder, class);
        if (i < CLASSES)
            TRY(folder_make(path));
        size_t length = strlen(path);
        snprintf(path + length, sizeof path - length, "/n%08d_%d.JPEG", class, i / CLASSES);
        TRY(create(path, &file));
        close(file);
    }
    return STATUS_OK;
}

static enum status put_member(int file, const char *path, uint64_t *at, const char *name,
                              const char *data, unsigned size) {
    char block[2 * TAR_BLOCK] = {0};
    unsigned sum = 0;
    snprintf(block, 100, "%s", name);
    snprintf(block + 124, 12, "%011o", size);
    memcpy(block + 148, "        0", 9);
    memcpy(block + 257, "ustar\00000", 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum & 0777777);
    snprintf(block + TAR_BLOCK, TAR_BLOCK, "%s", data);
    TRY(file_write_at(file, path, *at, block, sizeof block));
    *at += TAR_BLOCK + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    return STATUS_OK;
}

static enum status make_shard(const char *folder, int first, int count) {
    char path[PATH_MAX], name[64], label[16];
    uint64_t at = 0;
    int file;
    snprintf(path, sizeof path, "%s/train-%06d.tar", folder, first / SHARD);
    TRY(create(path, &file));
    enum status status = STATUS_OK;
    for (int i = first; i < first + count && status == STATUS_OK; i++) {
        snprintf(name, sizeof name, "%09d.jpg", i);
        status = put_member(file, path, &at, name, "", PICTURE);
        snprintf(name, sizeof name, "%09d.cls", i);
        snprintf(label, sizeof label, "%d", i % CLASSES);
        if (status == STATUS_OK)
            status = put_member(file, path, &at, name, label, (unsigned)strlen(label));
    }
    if (ftruncate(file, (off_t)at + 2 * TAR_BLOCK) != 0)
        status = fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    close(file);
    return status;
}

static enum status make_shards(const char *folder, int count) {
    for (int first = 0; first < count; first += SHARD)
        TRY(make_shard(folder, first, count - first < SHARD ? count - first : SHARD));
    return STATUS_OK;
}

static enum status make_pack(const char *folder, int count) {
    struct pack_header header = {.version = PACK_VERSION,
                                 .classes = CLASSES,
                                 .count = (uint64_t)count,
                                 .index_offset = sizeof header + (uint64_t)count * PICTURE};
    struct picture_entry *index;
    size_t bytes = (size_t)count * sizeof *index;
    char path[PATH_MAX];
    int file;
    TRY(allocate(&index, (size_t)count, sizeof *index, "the index"));
    for (int i = 0; i < count; i++)
        index[i] = (struct picture_entry){
            entry_at(sizeof header + (uint64_t)i * PICTURE, i % CLASSES), PICTURE, 0};
    memcpy(header.magic, pack_magic, sizeof pack_magic);
    header.size = header.classes_offset = header.index_offset + bytes;
    header.index_checksum = pack_hash(index, bytes);
    header.checksum = pack_header_checksum(&header);
    snprintf(path, sizeof path, "%s/train.pack", folder);
    enum status status = create(path, &file);
    if (status == STATUS_OK)
        status = file_write_at(file, path, header.index_offset, index, bytes);
    if (status == STATUS_OK)
        status = file_write_at(file, path, 0, &header, sizeof header);
    free(index);
    return status;
}

static const struct {
    const char *name, *made; /* what is there when it was made */
    enum status (*make)(const char *folder, int count);
} kinds[] = {{"folder", "train", make_folder},
             {"shards", "train-000000.tar", make_shards},
             {"pack", "train.pack", make_pack}};

/* In a process of its own: its memory is not the source's. */
static enum status make(const char *kind, const char *folder, int count) {
    char made[PATH_MAX];
    size_t n = 0;
    int code = 0;
    while (n < 2 && strcmp(kinds[n].name, kind) != 0)
        n++;
    snprintf(made, sizeof made, "%s/%s", folder, kinds[n].made);
    if (file_exists(made))
        return STATUS_OK;
    pid_t child = fork();
    if (child == 0) {
        enum status status = folder_make(folder);
        if (status == STATUS_OK)
            status = kinds[n].make(folder, count);
        if (status != STATUS_OK)
            fprintf(stderr, "%s\n", failure());
        _exit(status);
    }
    if (child < 0 || waitpid(child, &code, 0) != child || code != 0)
        return fail(STATUS_FAILED, "cannot make %s", made);
    return STATUS_OK;
}

/* Bytes in memory now. */
static double resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum status measure(const char *kind, const char *folder, int threads) {
    struct data_config config = {0};
    struct picture_source *source;
    struct pool *pool;
    struct rusage usage;
    snprintf(config.source, sizeof config.source, "%s", kind);
    snprintf(config.folder, sizeof config.folder, "%s", folder);
    TRY(pool_create(&pool, threads));
    double before = resident(), start = seconds();
    TRY(picture_source_open(&source, &config, DATA_TRAIN, pool));
    double time = seconds() - start, held = resident() - before;
    getrusage(RUSAGE_SELF, &usage);
    int count = picture_source_count(source);
    printf("{\"benchmark\": \"opening a source\", \"source\": \"%s\", \"pictures\": %d, "
           "\"threads\": %d, \"seconds\": %.3f, \"megabytes\": %.1f, \"bytes_per_picture\": %.1f, "
           "\"peak_megabytes\": %.1f}\n",
           kind, count, threads, time, held / 1e6, held / count,
           (double)usage.ru_maxrss * 1024 / 1e6);
    picture_source_close(source);
    pool_release(pool);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: bench_sources folder|shards|pack COUNT FOLDER [THREADS]\n");
        return STATUS_USAGE;
    }
    enum status status = make(argv[1], argv[3], atoi(argv[2]));
    if (status == STATUS_OK)
        status = measure(argv[1], argv[3], argc > 4 ? atoi(argv[4]) : 1);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
