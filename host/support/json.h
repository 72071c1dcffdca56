/* Reading JSON when memory may be short. */
#ifndef TAPER_JSON_H
#define TAPER_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* json_loadb() without duplicate keys. When it gets no memory, jansson may also drop a letter of a
 * right text and go on; here every such case returns NULL, and json_lacked_memory() is true until
 * the next call of this thread. */
json_t *json_read(const char *text, size_t size, json_error_t *error);
bool json_lacked_memory(void);

#endif
