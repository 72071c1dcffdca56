/* A file as the training part of a source: refused with one line, or all of its pictures have a
 * label, a name of one line, and bytes that come from the file. */
#ifndef TAPER_TESTS_FUZZ_SOURCE_H
#define TAPER_TESTS_FUZZ_SOURCE_H

#include <stddef.h>
#include <stdint.h>

/* type: of data.source. */
void fuzz_source(const char *type, const uint8_t *file, size_t size);

#endif
