#include "commands/estimate.h"
#include "data/picture_source.h"
#include "report/format.h"

#include <stdio.h>

/* ImageNet-1k, for which most are before it is there. */
enum { IMAGENET_CLASSES = 1000, IMAGENET_TRAIN = 1281167, IMAGENET_TEST = 50000 };

/* 0 when the test part is missing. */
static int count_test(const struct estimate *estimate) {
    struct picture_source *source = NULL;
    int count = 0;
    if (picture_source_open(&source, &estimate->config->data, DATA_TEST, estimate->pool) ==
        STATUS_OK)
        count = picture_source_count(source);
    else
        failure_clear();
    picture_source_close(source);
    return count;
}

static void count_missing(const struct data_config *data, int classes,
                          struct picture_counts *counts) {
    bool imagenet = classes == IMAGENET_CLASSES;
    counts->train = data->train_images > 0 ? data->train_images
                    : imagenet             ? IMAGENET_TRAIN - data->holdout_images
                                           : 0;
    counts->files = imagenet            ? IMAGENET_TRAIN
                    : counts->train > 0 ? counts->train + data->holdout_images
                                        : 0;
}

static void say_missing(const struct estimate *estimate) {
    const struct picture_counts *counts = &estimate->counts;
    char images[FORMAT_SIZE];
    printf(ESTIMATE_COLUMN "missing: %s\n", "pictures", estimate->loader.missing);
    if (counts->train > 0)
        printf(ESTIMATE_COLUMN "counted with %s training images, %s\n", "",
               format_count(images, counts->train),
               estimate->config->data.train_images > 0
                   ? "data.train_images"
                   : "as ImageNet has beside the hold-out images");
    else
        printf(ESTIMATE_COLUMN "set data.train_images for the times of whole steps\n", "");
}

void estimate_pictures(struct estimate *estimate) {
    const struct data_config *data = &estimate->config->data;
    const struct loader_probe *loader = &estimate->loader;
    struct picture_counts *counts = &estimate->counts;
    int classes = estimate->config->network.classes;
    counts->train = loader->train_images;
    counts->files = loader->pictures;
    if (loader->train_images == 0) {
        count_missing(data, classes, counts);
        say_missing(estimate);
    }
    if (data_in_memory(data)) {
        counts->files = 0;
        return;
    }
    counts->test = count_test(estimate);
    if (counts->test == 0 && classes == IMAGENET_CLASSES)
        counts->test = IMAGENET_TEST;
    counts->used_test = data->test_images > 0 ? data->test_images : counts->test;
}
