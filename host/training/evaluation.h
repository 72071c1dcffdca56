/* Forward passes over a fixed set of pictures, one sub-network at a time: calibration of its
 * batch-norm statistics, its accuracy, and the logits of a teacher. */
#ifndef TAPER_EVALUATION_H
#define TAPER_EVALUATION_H

#include "data/dataset.h"
#include "supernet/pass.h"

/* Pictures as they are, without augmentation, of the resolution that the sub-network reads.
 * Borrowed. */
struct image_set {
    const struct pictures *pictures;
    const int *indices; /* [count] into pictures; NULL: the first `count` */
    int count;
};

struct evaluator; /* owns a forward-only pass and buffers; borrows network, ops and pool */

/* Pictures of a batch that suits their size, the largest of the network's: about as much memory and
 * work at any. */
int evaluator_batch(const struct network *network);

/* options: epsilon, mean, deviation and cluster (whose ranks share out every batch) count; images:
 * the batch, which calibration depends on, 0 for evaluator_batch(). */
enum status evaluator_create(struct evaluator **evaluator, const struct network *network,
                             const struct ops *ops, struct pool *pool,
                             const struct pass_options *options);
void evaluator_release(struct evaluator *evaluator); /* NULL is fine */

const struct parameters *evaluator_parameters(const struct evaluator *evaluator);
const struct parameters *evaluator_statistics(const struct evaluator *evaluator);

/* weights are read now: evaluate as many sub-networks with them as you like. */
enum status evaluator_weights(struct evaluator *evaluator, const real *weights);

/* statistics[evaluator_statistics().size]: mean over batches (weighted by images) of the batches'
 * means and biased variances. */
enum status evaluator_calibrate(struct evaluator *evaluator, const struct subnetwork *sub,
                                const struct image_set *images, real *statistics);

struct evaluation {
    int images, correct;
    double accuracy, loss;
};
enum status evaluator_run(struct evaluator *evaluator, const struct subnetwork *sub,
                          const real *statistics, const struct image_set *images,
                          struct evaluation *evaluation);

/* logits[images->count][classes], with room for READ_SLACK more; labels are not read. */
enum status evaluator_predict(struct evaluator *evaluator, const struct subnetwork *sub,
                              const real *statistics, const struct image_set *images, real *logits);

/* logits[images][classes] of pictures that lie in memory, at most a batch of the pass. */
enum status evaluator_logits(struct evaluator *evaluator, const struct subnetwork *sub,
                             const real *statistics, const uint8_t *pictures, int images,
                             real *logits);

#endif
