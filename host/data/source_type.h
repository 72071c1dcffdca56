/* What the types of picture sources share; only they include this. */
#ifndef TAPER_SOURCE_TYPE_H
#define TAPER_SOURCE_TYPE_H

#include "data/class_list.h"
#include "data/picture_list.h"
#include "data/picture_source.h"

struct picture_source {
    const struct source_type *type;
    char path[PATH_MAX]; /* of the part: a folder, a pattern of shards, the file of a pack */
    struct picture_list list;
    struct class_list classes; /* count 0: numbers only */
    int class_count;
    struct sentences faults, notes;
    void *own; /* the type's */
};

/* Adding a type: a file with these functions, and a row in picture_source.c. */
struct source_type {
    const char *name;
    /* After an error, close() is called all the same. */
    enum status (*open)(struct picture_source *source, const struct data_config *config,
                        enum data_part part, struct pool *pool);
    enum status (*read)(const struct picture_source *source, int picture,
                        struct picture_bytes *bytes); /* sentences without the picture's name */
    enum status (*size)(const struct picture_source *source, int picture, uint64_t *size);
    void (*name_of)(const struct picture_source *source, int picture, char text[PICTURE_NAME]);
    void (*close)(struct picture_source *source); /* own alone; it may be NULL */
};

extern const struct source_type source_folder, source_shards, source_pack;

/* By ending: .jpg, .jpeg, .png, .ppm, .pgm, in any case. */
bool is_picture_name(const char *name);

/* FOLDER/NAME, or NAME alone where it begins with a slash; names too long are an error. */
enum status path_in(char path[PATH_MAX], const char *folder, const char *name);

/* What the parts of a source say that threads made, one part each. */
struct source_part {
    struct picture_list list;
    struct sentences faults, notes;
    enum status status;
    char *failure; /* of a status that is not STATUS_OK; may be NULL */
};

/* Ends a thread's work on a part. */
void part_end(struct source_part *part, enum status status);

/* Joins all parts in their order into the source, or fails as the first one did; releases them. */
enum status parts_join(struct picture_source *source, struct source_part *parts, int count);

#endif
