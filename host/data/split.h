/* Training pictures and those held out of them.
 *
 * The hold-out set is drawn from the training images, the same number per class, by counter-based
 * random numbers of the seed.
 */
#ifndef TAPER_SPLIT_H
#define TAPER_SPLIT_H

#include "data/dataset.h"

/* Index lists into the training pictures, in file order; owned. Classes differ by at most one image
 * where a number does not divide. The hold-out set does not depend on train_images. */
struct split {
    int train_count, holdout_count;
    int *train, *holdout;
};
enum status split_make(struct split *split, const struct pictures *pictures,
                       const struct data_config *config, uint64_t seed);
/* The same for pictures that are not in memory: label(context, image) < classes for image < images.
 * Equal labels give equal splits. Two passes over the labels, 5 bytes an image while it works. */
enum status split_by_label(struct split *split, int (*label)(const void *context, int image),
                           const void *context, int images, int classes,
                           const struct data_config *config, uint64_t seed);
void split_release(struct split *split);

#endif
