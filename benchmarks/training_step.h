/* What the benchmarks of a training step share: a pass with weights, synthetic pictures and labels
 * where its operations are, sub-networks drawn by step number, and the step itself. */
#ifndef TAPER_TRAINING_STEP_H
#define TAPER_TRAINING_STEP_H

#include "supernet/pass.h"

#include <time.h>

enum { MOST_IMAGES = 1024 };

struct training_step {
    const struct network *network;
    const struct ops *ops;
    int images, groups; /* groups divide images */
    bool full;          /* every group runs the largest sub-network */

    struct pass *pass;
    struct pass_batch batch;
    real *weights, *gradient, *velocity;
    struct subnetwork subs[MOST_IMAGES];
};

/* The fields above the blank line are the caller's. */
enum status training_step_create(struct training_step *step, struct pool *pool, bool shared_norm);

/* The sub-networks of step `number`: the same for every training_step of as many groups. */
enum status training_step_draw(struct training_step *step, int number);

/* Forward and backward of all images; the gradient is set. */
enum status training_step_gradient(struct training_step *step);
enum status training_step_update(struct training_step *step);

double clock_seconds(clockid_t clock);
/* Sorts. */
double median_of_times(double *times, int count);

#endif
