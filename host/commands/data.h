/* The commands of `taper data`, one file each, and what they share. */
#ifndef TAPER_COMMANDS_DATA_H
#define TAPER_COMMANDS_DATA_H

#include "commands/commands.h"
#include "commands/options.h"
#include "data/class_names.h"

#include <stdio.h>

extern const struct command data_pack, data_verify, data_info;

/* Configuration and threads of a command, and the source of one part at a time. */
struct data_work {
    struct config config;
    struct pool *pool;
    enum data_part part;
    struct picture_source *source;
    int bad; /* pictures of all parts so far */
};

/* After an error there is nothing to close. */
enum status data_work_open(struct data_work *work, const struct options *options);
void data_work_close(struct data_work *work);

/* Opens a part in place of the one before; its notes go to standard error. */
enum status data_work_part(struct data_work *work, enum data_part part);

/* "train: packed 12,345 of 1,281,167, 3 min 10 s left, 2,345 pictures/s": renewed on a terminal,
 * else a line every few seconds. */
struct data_meter {
    const char *what;
    int first;
    double began, shown;
    bool terminal, on_line;
};
void data_meter_begin(struct data_meter *meter, const char *what, int first);
void data_meter_show(struct data_meter *meter, int done, int total); /* from one thread at a time */
void data_meter_end(struct data_meter *meter);

/* Prints all sentences, each behind `word: `, and how many more there were. */
void data_print_sentences(FILE *file, const char *word, const struct sentences *sentences);

/* Calls `run` for the part that the options name, or for both. */
enum status data_for_parts(const struct options *options, struct data_work *work,
                           enum status (*run)(struct data_work *work));

/* How many pictures each class of the open part has; the caller's to free(). */
enum status data_count_classes(const struct data_work *work, int **counts);

/* As data.classes names them, else as the open part does. */
struct class_names data_class_names(const struct data_work *work);

/* "train" or "test" */
const char *data_part_name(enum data_part part);

#endif
