/* Which sub-networks to measure, for every layer shape of a space to be in one of them. */
#ifndef TAPER_TABLE_PLAN_H
#define TAPER_TABLE_PLAN_H

#include "network/network.h"

#include <stdint.h>

struct table_plan {
    int count;    /* sub-networks: those for the table, */
    int held_out; /* and the last ones, which only say how well it does without them */
    int shapes;   /* of layers, in the former */
    struct subnetwork *subs;
    uint64_t hash;
};

/* A coarse grid of widths first, whose corners let the rest be interpolated, then a fine one; each
 * sub-network takes for its layers shapes that none before had. At most `most` sub-networks. */
enum status table_plan_create(struct table_plan *plan, const struct network *network, uint64_t seed,
                              int most);
void table_plan_release(struct table_plan *plan);

#endif
