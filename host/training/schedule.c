#include "training/schedule.h"

#include <math.h>

int64_t schedule_steps(const struct training_config *config, int batches) {
    return llround(config->epochs * batches);
}

double schedule_rate(const struct training_config *config, int batches, int64_t step) {
    double warmup = config->warmup_epochs * batches, steps = config->epochs * batches;
    double at = (double)step;
    if (at < warmup)
        return config->learning_rate * (at + 1) / (warmup + 1);
    if (config->schedule == SCHEDULE_COSINE)
        return config->learning_rate * 0.5 * (1 + cos(M_PI * (at - warmup) / (steps - warmup)));
    return config->learning_rate *
           pow(config->step_factor, floor(at / (config->step_epochs * batches)));
}

double schedule_average(const struct training_config *config, int64_t step) {
    double early = (1 + (double)step) / (10 + (double)step);
    return fmin(config->ema, early);
}
