/* A library for LD_PRELOAD that lets the n-th call of one kind fail, in a program as it is shipped:
 *
 *   FAULT=memory|write|sync   malloc, calloc, realloc and mmap; write and pwrite; fsync and fdatasync
 *   FAULT_AT=N                the N-th such call of the process fails, once
 *   FAULT_COUNT=FILE          at the end: how many there were, as a line of FILE
 *
 * Children are left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { NONE, MEMORY, WRITE, SYNC };

static enum kind kind;
static long fails_at;
static atomic_long calls;

/* The C library's own, under names that nothing stands in front of. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

__attribute__((constructor)) static void begin(void) {
    static const char *const names[] = {
        [NONE] = "", [MEMORY] = "memory", [WRITE] = "write", [SYNC] = "sync"};
    const char *name = getenv("FAULT"), *at = getenv("FAULT_AT");
    for (int i = MEMORY; name != NULL && i <= SYNC; i++)
        if (strcmp(name, names[i]) == 0)
            kind = (enum kind)i;
    fails_at = at != NULL ? atol(at) : 0;
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAULT_COUNT");
    char line[32];
    if (path == NULL)
        return;
    int length = snprintf(line, sizeof line, "%ld\n", atomic_load(&calls));
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (syscall(SYS_write, file, line, length) != length)
        abort();
    close(file);
}

static bool fails(enum kind now, int error) {
    if (now != kind || atomic_fetch_add(&calls, 1) + 1 != fails_at)
        return false;
    errno = error;
    return true;
}

void *malloc(size_t size) {
    return fails(MEMORY, ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails(MEMORY, ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails(MEMORY, ENOMEM) ? NULL : __libc_realloc(memory, size);
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    if (fails(MEMORY, ENOMEM))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

ssize_t write(int file, const void *data, size_t size) {
    return fails(WRITE, ENOSPC) ? -1 : syscall(SYS_write, file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    return fails(WRITE, ENOSPC) ? -1 : syscall(SYS_pwrite64, file, data, size, at);
}

int fsync(int file) {
    return fails(SYNC, EIO) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return fails(SYNC, EIO) ? -1 : (int)syscall(SYS_fdatasync, file);
}
