/* Labelled pictures, still encoded, by number: of a folder, of tar shards, of a pack.
 *
 * Numbers follow the order of names, so that they are the same on every machine. After opening, a
 * source changes no more: any threads may call all functions for any pictures at the same time, and
 * no lock is taken. Memory: 16 bytes a picture, and its name where a pack does not keep it.
 */
#ifndef TAPER_PICTURE_SOURCE_H
#define TAPER_PICTURE_SOURCE_H

#include "data/dataset.h"
#include "support/pool.h"
#include "support/sentences.h"
#include <limits.h>

enum { PICTURE_NAME = PATH_MAX, MOST_PICTURE_BYTES = 1 << 28 };

/* What one thread reads pictures into: it grows to the largest one. Starts as zeros. */
struct picture_bytes {
    uint8_t *data; /* owned */
    size_t size, room;
};
enum status picture_bytes_resize(struct picture_bytes *bytes, size_t size); /* old ones are lost */
void picture_bytes_release(struct picture_bytes *bytes);

struct picture_source;

/* Whether a data.source is one of picture files. */
bool picture_source_known(const char *name);

/* config: source, folder, train, test, class_list and classes count. The pool's threads share the
 * work; NULL: the caller alone. Errors name folder, file or line. The test part has the labels of
 * the training part's classes. */
enum status picture_source_open(struct picture_source **source, const struct data_config *config,
                                enum data_part part, struct pool *pool);
void picture_source_close(struct picture_source *source); /* NULL is fine */

int picture_source_count(const struct picture_source *source);
int picture_source_label(const struct picture_source *source, int picture);
int picture_source_classes(const struct picture_source *source);

/* NULL when classes have numbers only. Who shows them asks class_names.h. */
const struct class_list *picture_source_class_list(const struct picture_source *source);

/* Of the part, for sentences: a folder, a pattern of shards, the file of a pack. */
const char *picture_source_path(const struct picture_source *source);

/* For sentences and lists: "train/n01440764/x.JPEG", "train-0003.tar: 000123.jpg"; one line. */
const char *picture_source_name(const struct picture_source *source, int picture,
                                char text[PICTURE_NAME]);

/* The bytes of its file, or a sentence that begins with its name: gone, cut off, empty, unreadable,
 * no file, damaged since it was packed. STATUS_USAGE: this picture is bad; else the machine is, as
 * without memory. The next call on the same bytes overwrites them. */
enum status picture_source_read(const struct picture_source *source, int picture,
                                struct picture_bytes *bytes);

/* How many bytes these are, without reading them. */
enum status picture_source_size(const struct picture_source *source, int picture, uint64_t *size);

/* Pictures that were met when it was opened and could not be taken: they have no number. */
const struct sentences *picture_source_faults(const struct picture_source *source);

/* What else a person may want to know: links that lead in a circle. */
const struct sentences *picture_source_notes(const struct picture_source *source);

#endif
