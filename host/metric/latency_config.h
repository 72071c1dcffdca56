/* How latency is measured here: the `latency` section of a configuration. */
#ifndef TAPER_LATENCY_CONFIG_H
#define TAPER_LATENCY_CONFIG_H

#include <stdbool.h>

struct latency_config {
    int batch_images;  /* of one pass */
    int threads;       /* of the CPU; a device is its own */
    int repetitions;   /* of a series, at least */
    double interval;   /* wanted: the median's 95 % confidence interval, as a share of the median */
    double seconds;    /* the most that one network may take */
    char table[512];   /* file of the metric latency_table; "": none */
    bool other_device; /* the table is of another device or number of threads on purpose */
};

#endif
