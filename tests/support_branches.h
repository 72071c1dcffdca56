/* Several sub-networks over the same images in one run of a pass, beside one after the other. */
#ifndef TAPER_SUPPORT_BRANCHES_H
#define TAPER_SUPPORT_BRANCHES_H

#include "supernet/pass.h"

/* Runs the largest sub-network twice, it with each of its choices at the smallest option, and some
 * drawn ones, of the option of the pictures' size where the network has several (else 0): with
 * statistics of the batch, then with those given. Losses, hits and, where `every_row`, all
 * statistics must have the same bits. */
void branches_must_agree(const struct network *network, const struct ops *ops, struct pool *pool,
                         int resolution, bool every_row);

#endif
