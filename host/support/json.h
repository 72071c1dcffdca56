/* JSON when memory may be short: jansson then drops a letter of what it reads, or a key of what it
 * writes, and goes on. Here every such case is an error. */
#ifndef TAPER_JSON_H
#define TAPER_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* json_loadb() without duplicate keys. After NULL, json_lacked_memory() says whether that was the
 * reason. */
json_t *json_read(const char *text, size_t size, json_error_t *error);
bool json_lacked_memory(void); /* in this thread's last call of either */

/* json_dumps(): the caller's to free(). */
char *json_text(const json_t *json, size_t flags);

#endif
