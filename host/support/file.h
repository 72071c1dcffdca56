/* Files that are either the old ones or the new ones, never torn. */
#ifndef TAPER_FILE_H
#define TAPER_FILE_H

#include "support/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes the parts one after another to a temporary file in the same folder, syncs it, renames it
 * over `path`, syncs the folder. On any error before the renaming the old file stays and the
 * temporary one is removed. */
struct file_part {
    const void *data;
    size_t size;
};
enum status file_replace(const char *path, const struct file_part *parts, int count);

/* The same for a text that `write` prints. */
enum status file_replace_text(const char *path, void (*write)(const void *context, FILE *file),
                              const void *context);

/* The whole file plus a terminating 0; *data is the caller's to free(). Larger than `most` bytes is
 * an error. */
enum status file_read(const char *path, size_t most, char **data, size_t *size);

/* At a place of an open file: all bytes, or an error that names `path`. */
enum status file_read_at(int file, const char *path, uint64_t at, void *data, size_t size);
enum status file_write_at(int file, const char *path, uint64_t at, const void *data, size_t size);

/* Renames a file that is on disk already, and has the new name on disk when it returns. */
enum status file_move(const char *from, const char *to);

bool file_exists(const char *path);
enum status folder_make(const char *path); /* like mkdir -p */

/* FNV-1a, to tell whether keys or files changed; not against malice. Start with HASH_START. */
#define HASH_START UINT64_C(14695981039346656037)
uint64_t hash_bytes(uint64_t hash, const void *data, size_t size);

#endif
