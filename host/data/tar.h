/* The members of a tar file: ustar, with the long names and sizes of pax and GNU.
 *
 * Only headers are read, nothing is unpacked. What a header says is checked against the file.
 */
#ifndef TAPER_TAR_H
#define TAPER_TAR_H

#include "support/status.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAR_BLOCK = 512, TAR_WINDOW = 1 << 16 };

struct tar_member {
    char name[PATH_MAX];
    bool plain;            /* a file whose data stand there as they are: no link, folder, sparse */
    uint64_t offset, size; /* of its data; offset is a multiple of TAR_BLOCK */
};

struct tar {
    int file;         /* the caller's */
    const char *path; /* named in errors; the caller's */
    uint64_t size, at;
    bool ended;
    struct tar_member member; /* the last one */
    uint64_t window_at;
    size_t window_size;
    uint8_t window[TAR_WINDOW];
};

/* A struct tar is large: not for a stack. */
enum status tar_begin(struct tar *tar, int file, const char *path);

/* *more false: the end, which is a block of zeros where `ended` says so. STATUS_USAGE: the file is
 * damaged, cut off or no tar file; members before were right. */
enum status tar_next(struct tar *tar, bool *more);

/* Bytes of the file, valid until the next call; size <= TAR_WINDOW. */
enum status tar_look(struct tar *tar, uint64_t at, size_t size, const uint8_t **bytes);

#endif
