#include "support/text.h"
#include "support/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void make_one_line(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

/* How many bytes the character has that begins here; 0: none does. The second byte tells what would
 * be too long a form, a surrogate or beyond the last character. */
static size_t utf8_bytes(const unsigned char *text) {
    unsigned char first = text[0], least = 0x80, most = 0xbf;
    size_t bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4)
        return 0;
    if (first == 0xe0 || first == 0xf0)
        least = first == 0xe0 ? 0xa0 : 0x90;
    if (first == 0xed || first == 0xf4)
        most = first == 0xed ? 0x9f : 0x8f;
    for (size_t i = 1; i < bytes; i++) {
        if (text[i] < least || text[i] > most)
            return 0;
        least = 0x80;
        most = 0xbf;
    }
    return bytes;
}

void make_utf8(char *text) {
    while (*text != '\0') {
        size_t bytes = utf8_bytes((const unsigned char *)text);
        if (bytes == 0)
            *text = '?';
        text += bytes > 0 ? bytes : 1;
    }
}

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
