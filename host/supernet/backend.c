#include "supernet/backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `function` points to a pointer to a function: C has no cast to one from data. */
static enum status find_symbol(const char *file, const char *name, void *function) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return fail(STATUS_FAILED, "%s", dlerror());
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        return fail(STATUS_FAILED, "%s has no %s", file, name);
    memcpy(function, &symbol, sizeof symbol);
    return STATUS_OK;
}

enum status backend_load(const char *file, enum precision precision, const struct ops **ops) {
    backend_open_function *open = NULL;
    TRY(find_symbol(file, BACKEND_SYMBOL, &open));
    return open(BACKEND_VERSION, precision, ops);
}

enum status backend_report(const char *file, char *text, size_t size) {
    backend_report_function *report = NULL;
    TRY(find_symbol(file, BACKEND_REPORT_SYMBOL, &report));
    return report(text, size);
}

enum status backend_find(char path[PATH_MAX]) {
    static const char *const places[] = {"libtaper_cuda.so", "../lib/taper/libtaper_cuda.so"};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL)
        return fail(STATUS_FAILED, "the program's own folder is unknown");
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int size = snprintf(path, PATH_MAX, "%s/%s", program, places[i]);
        if (size < PATH_MAX && access(path, R_OK) == 0)
            return STATUS_OK;
    }
    return fail(STATUS_FAILED, "this taper was built without CUDA");
}

static enum status choose_cuda(const char *file, enum precision precision, const struct ops **ops) {
    char path[PATH_MAX];
    if (file[0] != '\0')
        return backend_load(file, precision, ops);
    TRY(backend_find(path));
    return backend_load(path, precision, ops);
}

enum status backend_choose(enum device device, const char *file, enum precision precision,
                           const struct ops **ops, char reason[BACKEND_REASON]) {
    reason[0] = '\0';
    *ops = ops_cpu();
    if (device == DEVICE_CPU)
        return STATUS_OK;
    enum status status = choose_cuda(file, precision, ops);
    if (status == STATUS_OK || device == DEVICE_CUDA)
        return status;
    snprintf(reason, BACKEND_REASON, "%s", failure());
    failure_clear();
    *ops = ops_cpu();
    return STATUS_OK;
}
