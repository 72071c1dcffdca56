#include "data/split.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdlib.h>

enum role { UNUSED, TRAIN, HOLDOUT };

/* Class by class the same number; the first classes take one more when it does not divide. */
static int share(int images, int classes, int label) {
    return images / classes + (label < images % classes);
}

/* The images of every class, class after class, in file order. */
struct classes {
    int count;
    int *images; /* all images */
    int *first;  /* [count + 1]: where the images of each begin */
};

static enum status group(struct classes *classes, int (*label)(const void *context, int image),
                         const void *context, int images) {
    TRY(allocate(&classes->images, (size_t)images, sizeof(int), "the split of the images"));
    TRY(allocate(&classes->first, (size_t)classes->count + 2, sizeof(int),
                 "the split of the images"));
    int *next = classes->first + 1; /* counts, then where a class's next image goes */
    for (int image = 0; image < images; image++)
        next[label(context, image) + 1]++;
    for (int class = 1; class <= classes->count; class ++)
        next[class] += next[class - 1];
    for (int image = 0; image < images; image++)
        classes->images[next[label(context, image)]++] = image;
    return STATUS_OK; /* every `next` is now the end of its class, and so `first` the starts */
}

/* Gives every image of the class its role. */
static enum status deal_class(const struct classes *classes, const struct data_config *config,
                              uint64_t seed, int label, uint8_t *roles) {
    int *images = classes->images + classes->first[label];
    int count = classes->first[label + 1] - classes->first[label];
    int holdout = share(config->holdout_images, classes->count, label);
    int train = config->train_images == 0 ? count - holdout
                                          : share(config->train_images, classes->count, label);
    if (holdout > count || train > count - holdout)
        return fail(STATUS_USAGE,
                    "class %d has only %d images; data.holdout_images needs %d of them and "
                    "data.train_images %d",
                    label, count, holdout, train < 0 ? 0 : train);
    struct random_sequence sequence = random_sequence(seed, RANDOM_HOLDOUT, (uint64_t)label, 0);
    random_shuffle(&sequence, images, count);
    for (int i = 0; i < holdout + train; i++)
        roles[images[i]] = i < holdout ? HOLDOUT : TRAIN;
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

enum status split_by_label(struct split *split, int (*label)(const void *context, int image),
                           const void *context, int images, int classes,
                           const struct data_config *config, uint64_t seed) {
    struct classes all = {.count = classes};
    uint8_t *roles = NULL;
    enum status status;
    *split = (struct split){0};
    TRY_CLEANUP(allocate(&roles, (size_t)images, sizeof *roles, "the split of the images"));
    TRY_CLEANUP(group(&all, label, context, images));
    for (int class = 0; class < classes; class ++)
        TRY_CLEANUP(deal_class(&all, config, seed, class, roles));
    TRY_CLEANUP(collect(roles, images, TRAIN, &split->train, &split->train_count));
    TRY_CLEANUP(collect(roles, images, HOLDOUT, &split->holdout, &split->holdout_count));
    if (split->train_count == 0)
        status = fail(STATUS_USAGE, "data.holdout_images %d leaves no image to train with",
                      config->holdout_images);
done:
    free(all.images);
    free(all.first);
    free(roles);
    if (status != STATUS_OK)
        split_release(split);
    return status;
}

static int label_of(const void *pictures, int image) {
    return ((const struct pictures *)pictures)->labels[image];
}

enum status split_make(struct split *split, const struct pictures *pictures,
                       const struct data_config *config, uint64_t seed) {
    return split_by_label(split, label_of, pictures, pictures->count, pictures->classes, config,
                          seed);
}

void split_release(struct split *split) {
    free(split->train);
    free(split->holdout);
    *split = (struct split){0};
}
