/* What each layer of a network takes where it stands: inside whole passes, its input in the caches
 * as the layer before left it. */
#ifndef TAPER_LAYER_TIMES_H
#define TAPER_LAYER_TIMES_H

#include "metric/bench.h"

struct layer_times {
    double whole;              /* seconds of a pass, median */
    double rest;               /* of it, what no layer takes: the pictures, the answers */
    double layers[MAX_LAYERS]; /* sum to whole - rest */
};

/* The pass is made some times as it is and some times with a clock between its operations, by
 * turns; the latter say the layers' parts of the former. On a device, or with several threads, all
 * of the pass is dealt out to its layers. */
enum status layer_times_measure(const struct bench *bench, const struct network *network,
                                const struct subnetwork *sub, struct layer_times *times);

#endif
