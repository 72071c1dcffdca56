/* evaluation.json of a run folder: what `taper evaluate` found, for programs and the report. */
#ifndef TAPER_EVALUATION_FILE_H
#define TAPER_EVALUATION_FILE_H

#include "data/class_names.h"
#include "training/predictions.h"

/* {"format": "taper evaluation 1", "network": "found", "images": N,
 *  "top1": 0.9256, "top5": 0.9981, "loss": 0.2134,
 *  "classes": [{"name": "Bag", "images": 1000, "correct": 981, "accuracy": 0.981}, ...],
 *  "confusion": [[...], ...],      row: the label, column: the predicted class; images
 *  "confused": [{"label": 6, "predicted": 0, "images": 112}, ...],
 *  "hardest": [{"index": 17, "label": 3, "predicted": 5, "probability": 0.98,
 *               "label_probability": 0.001, "picture": "data:image/png;base64,..."}, ...]}
 * top1, top5 and accuracy are shares; accuracy is null for a class without images. confusion is
 * null where there are more than MOST_MATRIX_CLASSES. confused: at most MOST_CONFUSED pairs of
 * different classes, the most images first. hardest: at most MOST_HARDEST images, the least
 * probability of the right class first; index counts from 0. */
enum { MOST_MATRIX_CLASSES = 100, MOST_CONFUSED = 1000 };
enum status evaluation_write(const char *path, const char *network, const struct tables *tables,
                             const struct class_names *names, const struct pictures *pictures);

#endif
