/* Distillation: the largest sub-network of a super-network tells what it thinks of a batch. */
#ifndef TAPER_TEACHER_H
#define TAPER_TEACHER_H

#include "training/evaluation.h"

struct teacher;

/* `options` as for an evaluator, with `images` the batch of the training. Its statistics are
 * calibrated on `calibration`; those pictures and the ones that it is asked about are of option
 * `resolution`. Borrows network, ops and pool; weights are read now. */
enum status teacher_create(struct teacher **teacher, const struct network *supernet,
                           const struct ops *ops, struct pool *pool,
                           const struct pass_options *options, const real *weights,
                           const struct image_set *calibration, int resolution);
void teacher_release(struct teacher *teacher); /* NULL is fine */

/* *logits[images][classes], valid until the next call. */
enum status teacher_logits(struct teacher *teacher, const uint8_t *pictures, int images,
                           const real **logits);

#endif
