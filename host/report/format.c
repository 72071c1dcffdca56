#include "report/format.h"

#include <stdio.h>
#include <string.h>

const char *format_duration(char text[FORMAT_SIZE], double seconds) {
    long whole = (long)(seconds + 0.5);
    if (whole < 60)
        snprintf(text, FORMAT_SIZE, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, FORMAT_SIZE, "%ld min %ld s", whole / 60, whole % 60);
    else
        snprintf(text, FORMAT_SIZE, "%ld h %ld min", whole / 3600, whole % 3600 / 60);
    return text;
}

const char *format_count(char text[FORMAT_SIZE], double count) {
    char digits[FORMAT_SIZE];
    int length = snprintf(digits, sizeof digits, "%.0f", count), written = 0;
    for (int i = 0; i < length && written < FORMAT_SIZE - 2; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[written++] = ',';
        text[written++] = digits[i];
    }
    text[written] = '\0';
    return text;
}

const char *format_millions(char text[FORMAT_SIZE], double value, int decimals) {
    snprintf(text, FORMAT_SIZE, "%.*f M", decimals, value / 1e6);
    return text;
}

const char *format_bytes(char text[FORMAT_SIZE], double bytes) {
    if (bytes >= 1e9)
        snprintf(text, FORMAT_SIZE, "%.2f GB", bytes / 1e9);
    else if (bytes >= 1e6)
        snprintf(text, FORMAT_SIZE, "%.0f MB", bytes / 1e6);
    else
        snprintf(text, FORMAT_SIZE, "%.1f kB", bytes / 1e3);
    return text;
}
