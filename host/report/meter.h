/* How far a training is: one line that renews itself on a terminal, a plain line every few seconds
 * elsewhere, and an object in log.jsonl as often. */
#ifndef TAPER_METER_H
#define TAPER_METER_H

#include "report/log.h"
#include <stdint.h>

struct meter {
    struct log *log;
    const char *step; /* "supernet", "train" */
    int64_t total;    /* training steps */
    int64_t first;    /* steps that were done before this part began */
    double began, shown, logged;
    /* since the last object in the log */
    int64_t steps, images, correct;
    double loss, waited;
};

/* What one training step says about itself. */
struct meter_step {
    int64_t done; /* steps so far, this one included */
    int images, correct;
    double loss;
    double rate;   /* learning rate */
    double waited; /* seconds that this step waited for data */
};

void meter_begin(struct meter *meter, struct log *log, const char *step, int64_t done,
                 int64_t total);
enum status meter_step(struct meter *meter, const struct meter_step *step);

#endif
