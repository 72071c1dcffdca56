/* The hold-out set, and the images left for training: both balanced over the classes. */
#include "data/dataset.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdlib.h>

/* The share of `total` that class c gets: equal up to one. */
static int share(int total, int classes, int c) {
    return (int)((long)total * (c + 1) / classes - (long)total * c / classes);
}

static int members_of(const struct pictures *pictures, int c, int *members) {
    int count = 0;
    for (int i = 0; i < pictures->count; i++)
        if (pictures->labels[i] == c)
            members[count++] = i;
    return count;
}

enum use { USE_NOTHING, USE_TRAIN, USE_HOLDOUT };

static enum status deal_class(const struct pictures *pictures, const struct data_config *config,
                              uint64_t seed, int c, int *members, uint8_t *use) {
    int count = members_of(pictures, c, members);
    int holdout = share(config->holdout_images, pictures->classes, c);
    int train =
        config->train_images ? share(config->train_images, pictures->classes, c) : count - holdout;
    if (holdout + train > count || train < 0)
        return fail(STATUS_USAGE,
                    "class %d has %d training pictures, data.holdout_images and data.train_images "
                    "ask for %d and %d of it",
                    c, count, holdout, train);
    struct random_sequence random = random_sequence(seed, RANDOM_HOLDOUT, (uint64_t)c, 0);
    random_shuffle(&random, members, count);
    for (int i = 0; i < holdout + train; i++)
        use[members[i]] = i < holdout ? USE_HOLDOUT : USE_TRAIN;
    return STATUS_OK;
}

enum status split_make(struct split *split, const struct pictures *pictures,
                       const struct data_config *config, uint64_t seed) {
    int *members = NULL;
    uint8_t *use = NULL;
    enum status status;
    *split = (struct split){0};
    TRY_CLEANUP(allocate(&members, (size_t)pictures->count, sizeof *members, "the hold-out split"));
    TRY_CLEANUP(allocate(&use, (size_t)pictures->count, 1, "the hold-out split"));
    TRY_CLEANUP(
        allocate(&split->train, (size_t)pictures->count, sizeof(int), "the hold-out split"));
    TRY_CLEANUP(
        allocate(&split->holdout, (size_t)pictures->count, sizeof(int), "the hold-out split"));
    for (int c = 0; c < pictures->classes; c++)
        TRY_CLEANUP(deal_class(pictures, config, seed, c, members, use));
    for (int i = 0; i < pictures->count; i++) {
        if (use[i] == USE_TRAIN)
            split->train[split->train_count++] = i;
        else if (use[i] == USE_HOLDOUT)
            split->holdout[split->holdout_count++] = i;
    }
done:
    free(members);
    free(use);
    if (status != STATUS_OK)
        split_release(split);
    return status;
}

void split_release(struct split *split) {
    free(split->train);
    free(split->holdout);
    *split = (struct split){0};
}
