#include "support/text.h"
#include "support/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static ssize_t append(void *cookie, const char *bytes, size_t size) {
    struct text *text = cookie;
    if (size > text->room - text->size) {
        size_t room = 2 * (text->size + size);
        char *grown;
        if (allocate(&grown, room, 1, "a text") != STATUS_OK)
            return 0; /* an error of the stream */
        if (text->size > 0)
            memcpy(grown, text->bytes, text->size);
        free(text->bytes);
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return (ssize_t)size;
}

enum status text_open(struct text *text, FILE **stream, const char *what) {
    *text = (struct text){0};
    *stream = fopencookie(text, "w", (cookie_io_functions_t){.write = append});
    return *stream != NULL ? STATUS_OK : fail(STATUS_FAILED, "no memory for %s", what);
}

enum status text_close(struct text *text, FILE *stream, const char *what) {
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
    if (!failed)
        return STATUS_OK;
    free(text->bytes);
    *text = (struct text){0};
    return fail(STATUS_FAILED, "no memory for %s", what);
}
