/* The step loop: trains a super-network (ordered dropout over its choices) and a found network (one
 * group, no choices left) alike, from any saved state, to the same bits.
 */
#ifndef TAPER_TRAINING_H
#define TAPER_TRAINING_H

#include "data/dataset.h"
#include "network/network.h"
#include "ops.h"
#include "supernet/pass.h"
#include "supernet/sampler.h"
#include "support/pool.h"

enum schedule { SCHEDULE_COSINE, SCHEDULE_STEP };

/* Keys that the `supernet` and the `train` section share. */
struct training_config {
    double epochs;
    int batch_images;
    enum optimiser optimiser;
    double learning_rate; /* of the whole batch, at the top of the schedule */
    double momentum;
    bool nesterov;
    double weight_decay;   /* not on batch-norm parameters and biases */
    double alpha, epsilon; /* rmsprop */
    enum schedule schedule;
    double warmup_epochs;            /* learning rate, linear from 0 */
    double step_epochs, step_factor; /* step schedule: rate *= factor every step_epochs */
    double label_smoothing;
    double ema;          /* decay of the weights' average per step; 0: none */
    double save_seconds; /* at least so often */
    /* guard.h */
    int guard_window, guard_returns;
    double guard_jump, guard_rate;
};

/* the `supernet` section */
struct supernet_config {
    struct training_config training;
    int subnets_per_batch; /* G; divides batch_images */
    bool shared_norm;
    enum draw_kind draw;
    double width_warmup_epochs;
};

/* the `train` section */
struct train_config {
    struct training_config training;
    char init[512];   /* start from this file's weights and statistics; empty: see inherit */
    uint64_t seed;    /* 0: follows the seed of the run */
    bool inherit;     /* start from the super-network's weights, else fresh ones */
    bool use_holdout; /* train on training + hold-out images */
    double distill;   /* weight of the maximum network's softmax in the targets; 0: none */
    double distill_temperature;
    double norm_momentum; /* of running statistics */
};

#endif
