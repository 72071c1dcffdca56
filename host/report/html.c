#include "report/html.h"

#include <stdarg.h>

static const char *entity(char letter) {
    switch (letter) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        const char *instead = entity(*text);
        if (instead)
            fputs(instead, file);
        else
            putc(*text, file);
    }
}

void html_format(FILE *file, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    html_text(file, text);
}
