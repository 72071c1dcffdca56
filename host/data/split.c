#include "data/dataset.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdlib.h>

enum role { UNUSED, TRAIN, HOLDOUT };

/* Class by class the same number; the first classes take one more when it does not divide. */
static int share(int images, int classes, int label) {
    return images / classes + (label < images % classes);
}

/* Gives every image of the class its role. `order` has room for all images. */
static enum status deal_class(const struct pictures *pictures, const struct data_config *config,
                              uint64_t seed, int label, int *order, uint8_t *roles) {
    int count = 0;
    for (int image = 0; image < pictures->count; image++)
        if (pictures->labels[image] == label)
            order[count++] = image;
    int holdout = share(config->holdout_images, pictures->classes, label);
    int train = config->train_images == 0 ? count - holdout
                                          : share(config->train_images, pictures->classes, label);
    if (holdout > count || train > count - holdout)
        return fail(STATUS_USAGE,
                    "class %d has only %d images; data.holdout_images needs %d of them and "
                    "data.train_images %d",
                    label, count, holdout, train < 0 ? 0 : train);
    struct random_sequence sequence = random_sequence(seed, RANDOM_HOLDOUT, (uint64_t)label, 0);
    random_shuffle(&sequence, order, count);
    for (int i = 0; i < holdout + train; i++)
        roles[order[i]] = i < holdout ? HOLDOUT : TRAIN;
    return STATUS_OK;
}

static enum status collect(const uint8_t *roles, int images, enum role role, int **list,
                           int *count) {
    for (int image = 0; image < images; image++)
        *count += roles[image] == role;
    TRY(allocate(list, (size_t)*count, sizeof **list, "the split of the images"));
    for (int image = 0, next = 0; image < images; image++)
        if (roles[image] == role)
            (*list)[next++] = image;
    return STATUS_OK;
}

enum status split_make(struct split *split, const struct pictures *pictures,
                       const struct data_config *config, uint64_t seed) {
    uint8_t *roles = NULL;
    int *order = NULL;
    size_t images = (size_t)pictures->count;
    enum status status;
    *split = (struct split){0};
    TRY_CLEANUP(allocate(&roles, images, sizeof *roles, "the split of the images"));
    TRY_CLEANUP(allocate(&order, images, sizeof *order, "the split of the images"));
    for (int label = 0; label < pictures->classes; label++)
        TRY_CLEANUP(deal_class(pictures, config, seed, label, order, roles));
    TRY_CLEANUP(collect(roles, pictures->count, TRAIN, &split->train, &split->train_count));
    TRY_CLEANUP(collect(roles, pictures->count, HOLDOUT, &split->holdout, &split->holdout_count));
    if (split->train_count == 0)
        status = fail(STATUS_USAGE, "data.holdout_images %d leaves no image to train with",
                      config->holdout_images);
done:
    free(order);
    free(roles);
    if (status != STATUS_OK)
        split_release(split);
    return status;
}

void split_release(struct split *split) {
    free(split->train);
    free(split->holdout);
    *split = (struct split){0};
}
