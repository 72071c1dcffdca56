/* A folder of a test's own under the build folder, emptied of files at the start. */
#ifndef TAPER_TESTS_SUPPORT_FOLDER_H
#define TAPER_TESTS_SUPPORT_FOLDER_H

#include <stddef.h>

/* The folder's path; the same for equal names. */
const char *test_folder(const char *name);

/* FOLDER/NAME of the folder made last; valid until the fourth next call. */
const char *test_path(const char *name);

/* How many files the folder made last holds. */
int test_files(void);

/* Writes a file there without any care, and returns its path. */
const char *test_write(const char *name, const void *data, size_t size);

#endif
