/* How long each step of a run took, summed over its interrupted parts: times.json of the run
 * folder. Kept apart from the results, which are the same bits whenever they were made. */
#ifndef TAPER_TIMES_H
#define TAPER_TIMES_H

#include "support/status.h"
#include <jansson.h>

struct times {
    char path[600];
    json_t *seconds; /* step -> seconds */
    char step[64];   /* the running one, or "" */
    double started;
};

/* path "": nothing is read or written. */
enum status times_open(struct times *times, const char *path);
void times_close(struct times *times);

enum status times_start(struct times *times, const char *step);   /* goes on where it was saved */
enum status times_restart(struct times *times, const char *step); /* from zero: it is done anew */
/* Adds the time since the start or the last save, and writes the file. times NULL is fine. */
enum status times_save(struct times *times);
double times_of(const struct times *times, const char *step); /* 0: never ran here */

#endif
