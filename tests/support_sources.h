/* One small data set as a folder, as tar shards and as packs, in a test's own folder. */
#ifndef TAPER_TESTS_SUPPORT_SOURCES_H
#define TAPER_TESTS_SUPPORT_SOURCES_H

#include "data/picture_source.h"

enum { SET_CLASSES = 3, SET_PICTURES = 26, SET_TEST_PICTURES = 4 };

/* A new, empty folder of that name; its path. */
const char *sources_folder(const char *name);

/* The path of NAME in it, valid until the eighth next call. */
const char *sources_path(const char *name);

/* Writes a file there, and the folders that it is in. */
void sources_write(const char *name, const void *data, size_t size);

/* Runs a command of the shell in it, which must succeed. */
void sources_run(const char *command);

/* The data set: folder/train/CLASS/..., folder/val/CLASS/...; shards/train-{0,1}.tar,
 * shards/val-0.tar, made with the system's tar. Picture i of train is a PNG file with its number in
 * its first pixel; classes are "ant", "bee" and "wild cat". */
void sources_make_set(void);
extern const int set_labels[SET_PICTURES]; /* of train, in the order of numbers */

/* The configuration of one of them: "folder", "shards", "pack"; packs are packs/{train,val}.pack.
 */
struct data_config sources_config(const char *source);

/* Opens it, which must succeed without faults. */
struct picture_source *sources_open(const char *source, enum data_part part);

/* Packs the source's part into `path`, which must succeed. */
void sources_pack(const char *source, enum data_part part, const char *path);

/* The first pixel of the PNG file, its number. */
int sources_number(const struct picture_bytes *bytes);

/* Fails unless the kept sentence has these words; clears it. */
void assert_sentence(const char *words);

#endif
