/* What jansson's own header leaves to guess. */
#ifndef TAPER_JSON_H
#define TAPER_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* Did a text fail to load for want of memory? Not every such path of jansson sets its code; the
 * sentence is empty then, as it never is for a text at fault. */
static inline bool json_lacked_memory(const json_error_t *error) {
    return json_error_code(error) == json_error_out_of_memory || error->text[0] == '\0';
}

#endif
