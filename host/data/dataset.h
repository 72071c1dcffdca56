/* Labelled pictures in memory, split into training, hold-out and test images.
 *
 * The hold-out set is drawn from the training images, the same number per class, by counter-based
 * random numbers of the seed. Test images are loaded on demand: only the last step may ask.
 */
#ifndef TAPER_DATASET_H
#define TAPER_DATASET_H

#include "data/picture_recipe.h"
#include "support/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_CLASSES = 1 << 16, MAX_CLASS_NAME = 256 };

struct data_config {
    char source[64]; /* a row of dataset.c's table, or of picture_source.c's */
    char folder[512];
    char train[512], test[512]; /* within the folder, as the source names them; empty: its own */
    char class_list[512];       /* a file of class_list.h; empty: the classes that there are */
    int max_bad_images;         /* so many pictures may be bad before work on them stops */
    int holdout_images;
    int train_images;     /* use only so many (balanced) after the hold-out; 0: all */
    int test_images;      /* use only the first so many; 0: all */
    int classes;          /* 0: as the files say */
    int class_name_count; /* 0: classes have numbers only */
    char (*class_names)[MAX_CLASS_NAME]; /* config_release() frees them */
    double mean[4], deviation[4];        /* per channel of values in 0..1 */
    /* augmentation of training images */
    int crop_padding; /* zero padding before a random crop of the same size; 0: none */
    bool flip;        /* mirror half of them */
    /* of pictures in files: see picture_recipe.h */
    double smallest_crop, crop_ratio, jitter[JITTERS], centre;
    int shrink;
    int decoders; /* threads that make batches; 0: as many as workers */
};

/* Whether all pictures are read before the first step and have one size (idx); else they are
 * decoded from files as they are needed. */
bool data_in_memory(const struct data_config *config);

/* Pictures uint8 NHWC. */
struct pictures {
    int count, height, width, channels, classes;
    uint8_t *pixels;       /* [count][height][width][channels] */
    uint16_t *labels;      /* [count], < classes; NULL: unknown */
    char labels_file[600]; /* for sentences about labels */
};

/* The first picture whose label is not below `classes`, or -1. */
int pictures_beyond(const struct pictures *pictures, int classes);

enum data_part { DATA_TRAIN, DATA_TEST };

/* Errors name the file: missing, not gzip, wrong magic, counts that disagree with each other or
 * with the size (checked before allocating), labels out of range, trailing bytes. After an error
 * *pictures is empty. */
enum status pictures_load(struct pictures *pictures, const struct data_config *config,
                          enum data_part part);
void pictures_release(struct pictures *pictures);

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
