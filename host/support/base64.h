/* Base64 (RFC 4648), for pictures inside JSON and HTML. */
#ifndef TAPER_BASE64_H
#define TAPER_BASE64_H

#include "support/status.h"
#include <stddef.h>
#include <stdint.h>

/* *text = prefix, then the data; the caller's to free(). */
enum status base64_text(char **text, const char *prefix, const uint8_t *data, size_t size);

#endif
