/* What each layer of a network takes where it stands: inside whole passes, its input in the caches
 * as the layer before left it. */
#ifndef TAPER_LAYER_TIMES_H
#define TAPER_LAYER_TIMES_H

#include "metric/bench.h"

struct layer_times {
    double reference;          /* seconds of the reference's pass meanwhile, median */
    double whole;              /* seconds of a pass, median */
    double rest;               /* of it, what no layer takes: the pictures, the answers */
    double layers[MAX_LAYERS]; /* sum to whole - rest */
};

/* The largest sub-network, ready to run: how fast the machine is from moment to moment. */
enum status layer_times_reference(const struct bench *bench, const struct network *network,
                                  struct deployed *reference);

/* The pass is made some times as it is and some times with a clock between its operations, by
 * turns; the latter say the layers' parts of the former. On a device, or with several threads, all
 * of the pass is dealt out to its layers. The reference runs in every turn, and times count as
 * shares of its own: clocks and neighbours that change the speed change both. */
enum status layer_times_measure(const struct bench *bench, const struct network *network,
                                const struct subnetwork *sub, struct deployed *reference,
                                struct layer_times *times);

#endif
