/* Files of one JSON object a line that only grow: log.jsonl and search.jsonl.
 *
 * A kill can tear the last line only; opening cuts such a line off.
 */
#ifndef TAPER_JSON_LINES_H
#define TAPER_JSON_LINES_H

#include "support/status.h"
#include <jansson.h>

struct json_lines {
    int file;
    char path[600];
};

enum status json_lines_open(struct json_lines *lines, const char *path); /* created if missing */
void json_lines_close(struct json_lines *lines);

/* Takes the caller's reference to `object`, NULL being an error of no memory. Keys keep their
 * order, numbers their bits. */
enum status json_lines_append(struct json_lines *lines, json_t *object);
enum status json_lines_sync(struct json_lines *lines); /* what was appended survives a power cut */

/* Keeps the first `count` lines. */
enum status json_lines_keep(struct json_lines *lines, size_t count);

/* All whole lines as an array, the caller's to json_decref(); a missing file is an empty array. */
enum status json_lines_read(const char *path, json_t **array);

#endif
