/* Inputs of a fuzzing program where a reader of files finds them: in memory, without a disk. */
#ifndef TAPER_TESTS_FUZZ_FILE_H
#define TAPER_TESTS_FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_FILES = 2 };

/* Gives file `number` these contents and returns its path, the same one every time. */
const char *fuzz_file(int number, const uint8_t *data, size_t size);

#endif
