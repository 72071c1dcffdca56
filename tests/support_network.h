/* Networks for tests, built layer by layer without a configuration file. */
#ifndef TAPER_SUPPORT_NETWORK_H
#define TAPER_SUPPORT_NETWORK_H

#include "network/network.h"

/* Options from the largest to the smallest; NULL: no such dimension. */
#define OPTIONS(...) ((const int[]){__VA_ARGS__, 0})

struct dimensions {
    const int *width, *expand, *kernel;
    bool may_be_absent;
};

/* Room for MAX_LAYERS and MAX_CHOICES; network_release() frees it. */
void network_begin(struct network *network, int height, int width, int channels, int classes);

/* Appends a layer that reads the one before it; stride 0 means 1. `expansion` and the indices of
 * its choices follow from the dimensions. Returns its index. */
int network_add(struct network *network, struct layer layer, struct dimensions dimensions);
void network_add_pool(struct network *network);
void network_add_classifier(struct network *network);

/* Pictures of several sizes, from that of a network without the choice on; before its other
 * choices.
 */
void network_add_resolutions(struct network *network, const int *heights, const int *widths);

/* Net S: stem of 16 and eight inverted residuals of (width, expand, stride) (16,48,1) (16,48,2)
 * (24,64,1) (24,72,2) (32,72,1) (32,96,1) (32,96,1) (32,96,2), with ReLU6; kernels as given, the
 * widths pinned. */
void network_s(struct network *network, int height, int width, int channels, const int kernels[8]);

#endif
