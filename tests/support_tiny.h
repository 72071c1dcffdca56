/* A tiny searchable network with everything that a step can meet: a stem, blocks with bypass,
 * residual, squeeze-excite, searched widths and kernels, one block that may be absent. */
#ifndef TAPER_SUPPORT_TINY_H
#define TAPER_SUPPORT_TINY_H

#include "network/network.h"

void network_tiny(struct network *network, int size, int channels, int classes);

#endif
