/* What a network says of labelled images: its logits, and the tables that follow from them. */
#ifndef TAPER_PREDICTIONS_H
#define TAPER_PREDICTIONS_H

#include "ops.h"
#include "support/status.h"
#include "training/confusions.h"

struct predictions {
    int images, classes;
    real *logits;    /* [images][classes] */
    int64_t *labels; /* [images] */
};
enum status predictions_create(struct predictions *predictions, int images, int classes,
                               const uint16_t *labels);
void predictions_release(struct predictions *predictions);
enum status predictions_write(const struct predictions *predictions, const char *path,
                              const char *network);

/* Of one image. */
void probabilities_of(const real *logits, int classes, double *probabilities);
int likeliest(const real *logits, int classes); /* the first largest */

enum { MOST_HARDEST = 20, TOP = 5 };

struct hard_image {
    int image, label, predicted;
    double probability;       /* of the predicted class */
    double label_probability; /* of the right one */
    double loss;
};

struct class_count {
    int images, correct; /* with this label */
};

struct tables {
    int images, classes;
    int top1, top5; /* images whose label is the likeliest class, is among the five likeliest */
    double loss;    /* mean cross-entropy */
    struct class_count *of_class; /* [classes]; owned */
    int confusion_count;
    struct confusion *confusions; /* as confusions_merge() leaves them; owned */
    int hardest_count;
    struct hard_image hardest[MOST_HARDEST]; /* the largest loss first */
};
/* A logit that is not finite is an error. */
enum status tables_make(struct tables *tables, const struct predictions *predictions);
void tables_release(struct tables *tables);
/* cells[label][predicted]: images. Of few classes. */
void tables_matrix(const struct tables *tables, int *cells);

#endif
