/* Measuring a latency table: networks of a plan, each layer within them. */
#ifndef TAPER_TABLE_BUILD_H
#define TAPER_TABLE_BUILD_H

#include "metric/bench.h"
#include "metric/latency_table.h"

struct table_building {
    const struct bench *bench;
    const struct network *network;
    uint64_t seed;
    int most;         /* networks */
    const char *path; /* PATH.part holds what was measured so far, a line a network */
    void (*progress)(void *context, int done, int total);
    void *context;
};

/* Goes on where PATH.part ends; writes PATH and removes PATH.part. A Ctrl-C leaves the latter. A
 * file that is there already, and what was measured for another space or device, are errors. */
enum status table_build(const struct table_building *building, struct latency_table *table);

#endif
