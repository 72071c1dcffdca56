/* A small network with one of everything, a batch for it, and weights: for tests of whole passes.
 */
#ifndef TAPER_SUPPORT_PASS_H
#define TAPER_SUPPORT_PASS_H

#include "supernet/pass.h"

enum { PASS_IMAGES = 12, PASS_HEIGHT = 9, PASS_WIDTH = 7, PASS_CHANNELS = 2, PASS_CLASSES = 5 };

/* Dense stem, a block of each kind (residual and bypass, stride 2 with squeeze-excite, no
 * expansion, bypass over widening), hard-swish, a pooled 1x1 head, a hidden linear layer. */
void pass_network(struct network *network);

/* It for pictures of several sizes, from PASS_HEIGHT x PASS_WIDTH on; 0 ends them. */
extern const int pass_heights[], pass_widths[];
void pass_network_of_sizes(struct network *network);
/* It for pictures of one of the sizes, without the choice. */
void pass_network_of_size(struct network *network, int resolution);

/* A sub-network drawn uniformly; the same for the same number. */
struct subnetwork pass_draw(const struct network *network, uint32_t number);

/* Weights with scales and shifts away from their start, so that every gradient matters. The
 * caller's to free. */
real *pass_random_parameters(const struct parameters *parameters);

/* What pass_make() does, where it may fail; *pass is NULL then. */
enum status pass_try(struct pass **pass, const struct network *network, const struct ops *ops,
                     int groups, bool shared, int shards, struct pool *pool);
struct pass *pass_make(const struct network *network, const struct ops *ops, int groups,
                       bool shared, int shards, struct pool *pool);

/* The same batch, from the given picture on, with weights per image and label smoothing. */
struct pass_batch pass_batch_from(int picture);

#endif
