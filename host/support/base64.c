#include "support/base64.h"
#include "support/memory.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Up to three bytes as four letters. */
static void encode(const uint8_t *data, size_t size, char *letters) {
    uint32_t bits = (uint32_t)data[0] << 16 | (size > 1 ? (uint32_t)data[1] << 8 : 0) |
                    (size > 2 ? (uint32_t)data[2] : 0);
    for (int i = 0; i < 4; i++)
        letters[i] = digits[bits >> (18 - 6 * i) & 63];
    if (size < 3)
        letters[3] = '=';
    if (size < 2)
        letters[2] = '=';
}

enum status base64_text(char **text, const char *prefix, const uint8_t *data, size_t size) {
    size_t start = strlen(prefix);
    TRY(allocate(text, start + (size + 2) / 3 * 4 + 1, 1, "a picture as text"));
    memcpy(*text, prefix, start);
    for (size_t i = 0; i < size; i += 3)
        encode(data + i, size - i, *text + start + i / 3 * 4);
    return STATUS_OK;
}
