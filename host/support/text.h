/* A text printed into memory, through a stream that notices a lack of it: that of open_memstream()
 * drops what it has no room for and reports no error. */
#ifndef TAPER_TEXT_H
#define TAPER_TEXT_H

#include "support/status.h"
#include <stddef.h>
#include <stdio.h>

struct text {
    char *bytes; /* the caller's to free() after text_close() */
    size_t size, room;
};

/* `what` is it for: "no memory for ...". */
enum status text_open(struct text *text, FILE **stream, const char *what);
/* An error when anything printed is missing; text->bytes is NULL then. */
enum status text_close(struct text *text, FILE *stream, const char *what);

#endif
