#include "training/inherit.h"
#include "support/memory.h"
#include "training/train_supernet.h"

#include <stdlib.h>

static enum status cut_weights(const struct run *run, const struct parameters *parameters,
                               real *weights) {
    struct parameters all;
    real *values = NULL;
    enum status status;
    TRY(parameters_of(&all, &run->config.network));
    TRY_CLEANUP(allocate(&values, all.size + READ_SLACK, sizeof(real), "the super-network"));
    TRY_CLEANUP(supernet_weights(run, &all, values));
    TRY_CLEANUP(parameters_extract(&all, values, parameters, weights));
done:
    free(values);
    parameters_release(&all);
    return status;
}

enum status inherit(const struct run *run, const struct network *alone, int resolution,
                    const struct parameters *parameters, real *weights, real *statistics) {
    struct evaluator *evaluator;
    struct subnetwork whole = subnetwork_largest(alone);
    struct pass_options options = run_pass_options(&run->config);
    options.images = evaluator_batch(&run->config.network); /* statistics depend on it */
    const struct image_set *calibration = &run->sets.calibration[resolution];
    TRY(cut_weights(run, parameters, weights));
    TRY(evaluator_create(&evaluator, alone, run->ops, run->pool, &options));
    enum status status = evaluator_weights(evaluator, weights);
    if (status == STATUS_OK)
        status = evaluator_calibrate(evaluator, &whole, calibration, statistics);
    evaluator_release(evaluator);
    return status;
}
