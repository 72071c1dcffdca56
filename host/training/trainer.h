/* The step loop. What step s does is a pure function of the state after step s - 1 and of s, so
 * that a training may be cut and taken up anywhere. */
#ifndef TAPER_TRAINER_H
#define TAPER_TRAINER_H

#include "data/loader.h"
#include "report/log.h"
#include "report/times.h"
#include "training/state.h"
#include "training/teacher.h"

struct training_task {
    const char *name; /* "supernet", "train": for reports */
    const struct training_config *config;
    const struct network *network;
    const struct ops *ops;
    struct pool *pool;
    struct cluster *cluster;      /* whose ranks share out every batch, or NULL */
    struct pass_options pass;     /* epsilon, mean, deviation; the rest is filled in */
    struct loader_options images; /* what it makes of a batch is filled in */

    /* A super-network: ordered dropout draws the sub-network of each group. NULL: one network, in
     * one group, with running statistics. */
    const struct sampler *sampler;
    const struct picture_feed *feeds; /* with it: by resolution, the first that of `images` */
    int groups;
    bool shared_norm;

    double norm_momentum;    /* running = (1 - m) running + m batch, with the biased variance */
    struct teacher *teacher; /* or NULL */
    double teacher_weight, temperature;

    const char *state_path; /* checkpoint.h */
    uint64_t hash;          /* of the configuration */
    struct log *log;        /* or NULL */
    struct times *times;    /* or NULL */
};

/* Trains `state` to the end, on all ranks of the cluster to the same bits; rank 0 keeps the files.
 * An interrupt (support/interrupt.h) ends it after the running step with everything saved and
 * STATUS_INTERRUPTED. A loss that diverges is the guard's business (guard.h).
 */
enum status train(const struct training_task *task, struct training_state *state);

#endif
