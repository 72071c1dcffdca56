#include "supernet/backend.h"
#include "support/library.h"

#include <stdio.h>

enum status backend_load(const char *file, enum precision precision, const struct ops **ops) {
    backend_open_function *open = NULL;
    TRY(library_symbol(file, BACKEND_SYMBOL, LIBRARY_ALONE, &open));
    return open(BACKEND_VERSION, precision, ops);
}

enum status backend_report(const char *file, char *text, size_t size) {
    backend_report_function *report = NULL;
    TRY(library_symbol(file, BACKEND_REPORT_SYMBOL, LIBRARY_ALONE, &report));
    return report(text, size);
}

enum status backend_find(char path[PATH_MAX]) {
    if (library_find(path, "libtaper_cuda.so"))
        return STATUS_OK;
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
