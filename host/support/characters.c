#include "support/characters.h"

#include <stddef.h>

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

int column_bytes(const char *text, int characters) {
    int bytes = characters;
    for (; *text != '\0'; text++)
        bytes += ((unsigned char)*text & 0xc0) == 0x80; /* follows in a character */
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
