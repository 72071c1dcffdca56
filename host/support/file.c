#include "support/file.h"
#include "support/memory.h"
#include "support/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One write() takes at most 2 GB; smaller steps let a signal in between. */
enum { MOST_AT_ONCE = 1 << 30 };

static enum status write_all(int file, const char *path, const struct file_part *part) {
    const char *data = part->data;
    size_t left = part->size;
    while (left > 0) {
        ssize_t written = write(file, data, left < MOST_AT_ONCE ? left : MOST_AT_ONCE);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail(STATUS_FAILED, "cannot write %s: %s", path,
                        strerror(written < 0 ? errno : ENOSPC));
        data += written;
        left -= (size_t)written;
    }
    return STATUS_OK;
}

static enum status sync_and_close(int file, const char *path, enum status status) {
    if (status == STATUS_OK && fsync(file) != 0)
        status = fail(STATUS_FAILED, "cannot write %s to disk: %s", path, strerror(errno));
    if (close(file) != 0 && status == STATUS_OK)
        status = fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    return status;
}

/* The name itself is on disk only when the folder is. */
static enum status folder_sync(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : (int)(slash - path);
    snprintf(folder, sizeof folder, "%.*s%s", length, path, slash == NULL ? "." : "/");
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return fail(STATUS_FAILED, "cannot open folder %s: %s", folder, strerror(errno));
    enum status status = STATUS_OK;
    if (fsync(file) != 0 && errno != EINVAL) /* EINVAL: this file system cannot, and needs not */
        status = fail(STATUS_FAILED, "cannot write folder %s to disk: %s", folder, strerror(errno));
    close(file);
    return status;
}

enum status file_replace(const char *path, const struct file_part *parts, int count) {
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    if (length >= (int)sizeof temporary)
        return fail(STATUS_FAILED, "cannot write %.200s...: the name is too long", path);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return fail(STATUS_FAILED, "cannot create %s: %s", temporary, strerror(errno));
    enum status status = STATUS_OK;
    for (int i = 0; i < count && status == STATUS_OK; i++)
        status = write_all(file, path, &parts[i]);
    status = sync_and_close(file, path, status);
    if (status == STATUS_OK && rename(temporary, path) != 0)
        status = fail(STATUS_FAILED, "cannot replace %s: %s", path, strerror(errno));
    if (status != STATUS_OK) {
        unlink(temporary);
        return status;
    }
    return folder_sync(path);
}

enum status file_move(const char *from, const char *to) {
    if (rename(from, to) != 0)
        return fail(STATUS_FAILED, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return folder_sync(to);
}

enum status file_read_at(int file, const char *path, uint64_t at, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t left = size - done;
        ssize_t got = pread(file, (char *)data + done, left < MOST_AT_ONCE ? left : MOST_AT_ONCE,
                            (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(STATUS_USAGE, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return fail(STATUS_USAGE, "%s ends at byte %ju, before what is looked for", path,
                        (uintmax_t)(at + done));
        done += (size_t)got;
    }
    return STATUS_OK;
}

enum status file_write_at(int file, const char *path, uint64_t at, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t left = size - done;
        ssize_t put = pwrite(file, (const char *)data + done,
                             left < MOST_AT_ONCE ? left : MOST_AT_ONCE, (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail(STATUS_FAILED, "cannot write %s: %s", path,
                        strerror(put < 0 ? errno : ENOSPC));
        done += (size_t)put;
    }
    return STATUS_OK;
}

static enum status read_all(int file, const char *path, size_t most, char **data, size_t *size) {
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return fail(STATUS_USAGE, "cannot read %s: it is not a file", path);
    if ((uintmax_t)facts.st_size > most)
        return fail(STATUS_USAGE, "%s has %jd bytes; at most %zu are expected", path,
                    (intmax_t)facts.st_size, most);
    TRY(allocate(data, (size_t)facts.st_size + 1, 1, path));
    size_t done = 0;
    while (done < (size_t)facts.st_size) {
        size_t left = (size_t)facts.st_size - done;
        ssize_t got = read(file, *data + done, left < MOST_AT_ONCE ? left : MOST_AT_ONCE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return fail(STATUS_FAILED, "%s became shorter while it was read", path);
        done += (size_t)got;
    }
    *size = done;
    return STATUS_OK;
}

enum status file_replace_text(const char *path, void (*write)(const void *context, FILE *file),
                              const void *context) {
    struct text text;
    FILE *file;
    TRY(text_open(&text, &file, path));
    write(context, file);
    TRY(text_close(&text, file, path));
    enum status status = file_replace(path, &(struct file_part){text.bytes, text.size}, 1);
    free(text.bytes);
    return status;
}

enum status file_read(const char *path, size_t most, char **data, size_t *size) {
    *data = NULL;
    *size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail(STATUS_USAGE, "cannot open %s: %s", path, strerror(errno));
    enum status status = read_all(file, path, most, data, size);
    close(file);
    if (status != STATUS_OK) {
        free(*data);
        *data = NULL;
    }
    return status;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

static enum status folder_make_one(const char *path) {
    struct stat facts;
    if (mkdir(path, 0777) == 0)
        return STATUS_OK;
    int error = errno;
    if (stat(path, &facts) != 0)
        return fail(STATUS_FAILED, "cannot make folder %s: %s", path, strerror(error));
    if (!S_ISDIR(facts.st_mode))
        return fail(STATUS_FAILED, "cannot make folder %s: a file has that name", path);
    return STATUS_OK;
}

enum status folder_make(const char *path) {
    char parent[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof parent)
        return fail(STATUS_FAILED, "cannot make folder %.200s...: the name is too long", path);
    for (size_t i = 1; i < length; i++) {
        if (path[i] == '/') {
            snprintf(parent, sizeof parent, "%.*s", (int)i, path);
            TRY(folder_make_one(parent));
        }
    }
    return folder_make_one(path);
}

uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}
