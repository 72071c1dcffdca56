#include "support/json.h"
#include "support/memory.h"

#include <stdlib.h>

static _Thread_local bool lacked_memory;

static void *take(size_t size) {
    void *memory = allocate_refused() ? NULL : malloc(size);
    lacked_memory = lacked_memory || memory == NULL;
    return memory;
}

static void begin(void) {
    json_set_alloc_funcs(take, free);
    lacked_memory = false;
}

json_t *json_read(const char *text, size_t size, json_error_t *error) {
    begin();
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, error);
    if (!lacked_memory)
        return json;
    json_decref(json);
    return NULL;
}

bool json_lacked_memory(void) {
    return lacked_memory;
}

char *json_text(const json_t *json, size_t flags) {
    begin();
    char *text = json_dumps(json, flags);
    if (!lacked_memory)
        return text;
    free(text);
    return NULL;
}
