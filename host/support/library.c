#include "support/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool library_find(char path[PATH_MAX], const char *name) {
    static const char *const places[] = {"", "../lib/taper/"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int size = snprintf(path, PATH_MAX, "%s/%s%s", program, places[i], name);
        if (size < PATH_MAX && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

enum status library_symbol(const char *file, const char *name, enum library_scope scope,
                           void *function) {
    int flags = RTLD_NOW | (scope == LIBRARY_SHARES_SYMBOLS ? RTLD_GLOBAL : RTLD_LOCAL);
    void *library = dlopen(file, flags);
    if (library == NULL)
        return fail(STATUS_FAILED, "%s", dlerror());
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        return fail(STATUS_FAILED, "%s has no %s", file, name);
    memcpy(function, &symbol, sizeof symbol);
    return STATUS_OK;
}
