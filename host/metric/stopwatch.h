/* A time that can be trusted: something is run again and again until it is as fast as it gets and
 * the median of a series is narrow and steady. */
#ifndef TAPER_STOPWATCH_H
#define TAPER_STOPWATCH_H

#include "metric/latency_config.h"
#include "metric/median.h"
#include "support/status.h"

#include <stdbool.h>

/* Runs once and tells how long it took. Time is what it tells, nothing else. */
struct stopwatch {
    enum status (*run)(void *context, double *seconds);
    void *context;
};

struct stopwatch_result {
    struct median median; /* seconds */
    int repetitions;      /* of the series that counts */
    int series;           /* that were made */
    int outliers;         /* in the series that counts */
    double drift;         /* its last third's median above its first third's, as a share */
    double waited;        /* share of all time in which others had the processor, and which does not
                             count; 0 where it is not known */
    bool narrow;          /* the interval is as wanted */
    bool steady;          /* the drift is below twice the wanted interval: clocks did not change */
};

enum status stopwatch_measure(const struct stopwatch *watch, const struct latency_config *config,
                              struct stopwatch_result *result);

#endif
