#include "support/machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The text after "KEY ... : " of /proc's list, without its line's end. */
static bool read_value(const char *path, const char *key, char *value, size_t size) {
    FILE *lines = fopen(path, "r");
    bool found = false;
    if (lines == NULL)
        return false;
    while (!found && fgets(value, (int)size, lines) != NULL) {
        const char *colon = strchr(value, ':');
        if (strncmp(value, key, strlen(key)) != 0 || colon == NULL)
            continue;
        const char *text = colon + 1 + strspn(colon + 1, " \t");
        memmove(value, text, strlen(text) + 1);
        value[strcspn(value, "\n")] = '\0';
        found = true;
    }
    fclose(lines);
    return found;
}

void machine_processor(char *name, size_t size) {
    if (!read_value("/proc/cpuinfo", "model name", name, size))
        snprintf(name, size, "unknown");
}
