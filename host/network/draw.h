/* Random sub-networks. */
#ifndef TAPER_DRAW_H
#define TAPER_DRAW_H

#include "network/network.h"
#include "support/random.h"

/* Uniform over the options of each choice. "Absent" is drawn like one more width of its block, as
 * in the training of the super-network; at one in two, most of a network would be absent. */
short choice_draw(const struct network *network, int choice, struct random_sequence *random);
struct subnetwork subnetwork_draw(const struct network *network, struct random_sequence *random);

#endif
