#include "support/status.h"
#include "support/characters.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE = 1024 };

static _Thread_local char kept[SENTENCE];

enum status fail(enum status status, const char *format, ...) {
    if (kept[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(kept, sizeof kept, format, arguments);
        va_end(arguments);
        make_one_line(kept);
    }
    return status;
}

enum status fail_in(enum status status, const char *format, ...) {
    char context[SENTENCE], whole[2 * SENTENCE + 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", context, kept);
    memcpy(kept, whole, sizeof kept - 1);
    kept[sizeof kept - 1] = '\0';
    make_one_line(kept);
    return status;
}

const char *failure(void) {
    return kept;
}

void failure_clear(void) {
    kept[0] = '\0';
}
