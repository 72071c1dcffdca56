/* The score of a sub-network: its accuracy on hold-out images with the super-network's weights,
 * without any fine-tuning, its batch-norm statistics estimated first on training images that are
 * the same for all samples (method 2.2, 2.3). */
#ifndef TAPER_SCORING_H
#define TAPER_SCORING_H

#include "training/evaluation.h"

struct scorer {
    const struct network *network;
    struct evaluator *evaluator;
    const struct image_set *calibration, *holdout; /* [resolution] */
    real *statistics;                              /* of the sub-network scored last */
};

/* Borrows network, ops, pool and images, whose sets need to be there only when a sub-network of
 * their resolution is scored; weights are read now. */
enum status scorer_create(struct scorer *scorer, const struct network *supernet,
                          const struct ops *ops, struct pool *pool,
                          const struct pass_options *options, const real *weights,
                          const struct image_set *calibration, const struct image_set *holdout);
void scorer_release(struct scorer *scorer); /* a zeroed one is fine */

enum status scorer_score(struct scorer *scorer, const struct subnetwork *sub, double *score);

#endif
