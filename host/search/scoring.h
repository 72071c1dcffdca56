/* The score of a sub-network: its accuracy on hold-out images with the super-network's weights,
 * without any fine-tuning, its batch-norm statistics estimated first on training images that are
 * the same for all samples (method 2.2, 2.3). */
#ifndef TAPER_SCORING_H
#define TAPER_SCORING_H

#include "training/evaluation.h"

/* Sub-networks scored in one go, as many as an iteration has by default. More would share more,
 * cost more memory, and lose more when the search is cut off. */
enum { SCORED_TOGETHER = 16 };

struct scorer {
    const struct network *network;
    struct evaluator *evaluator;
    const struct image_set *calibration, *holdout; /* [resolution] */
    real *statistics[SCORED_TOGETHER];             /* of the sub-networks scored last */
};

/* Borrows network, ops, pool and images, whose sets need to be there only when a sub-network of
 * their resolution is scored; weights are read now. */
enum status scorer_create(struct scorer *scorer, const struct network *supernet,
                          const struct ops *ops, struct pool *pool,
                          const struct pass_options *options, const real *weights,
                          const struct image_set *calibration, const struct image_set *holdout);
void scorer_release(struct scorer *scorer); /* a zeroed one is fine */

/* scores[count], at most SCORED_TOGETHER, of sub-networks of one resolution: each gets the bits
 * that it gets alone. */
enum status scorer_score(struct scorer *scorer, const struct subnetwork *const *subs, int count,
                         double *scores);

#endif
