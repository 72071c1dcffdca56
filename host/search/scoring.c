#include "search/scoring.h"
#include "support/memory.h"

#include <stdlib.h>

static enum status create(struct scorer *scorer, const struct network *supernet,
                          const struct ops *ops, struct pool *pool,
                          const struct pass_options *options, const real *weights) {
    TRY(evaluator_create(&scorer->evaluator, supernet, ops, pool, options));
    TRY(allocate(&scorer->statistics, evaluator_statistics(scorer->evaluator)->size + READ_SLACK,
                 sizeof(real), "a sub-network's statistics"));
    return evaluator_weights(scorer->evaluator, weights);
}

enum status scorer_create(struct scorer *scorer, const struct network *supernet,
                          const struct ops *ops, struct pool *pool,
                          const struct pass_options *options, const real *weights,
                          const struct image_set *calibration, const struct image_set *holdout) {
    *scorer = (struct scorer){.network = supernet, .calibration = calibration, .holdout = holdout};
    enum status status = create(scorer, supernet, ops, pool, options, weights);
    if (status != STATUS_OK)
        scorer_release(scorer);
    return status;
}

void scorer_release(struct scorer *scorer) {
    evaluator_release(scorer->evaluator);
    free(scorer->statistics);
    *scorer = (struct scorer){0};
}

enum status scorer_score(struct scorer *scorer, const struct subnetwork *sub, double *score) {
    struct evaluation evaluation;
    int resolution = subnetwork_resolution(scorer->network, sub);
    TRY(evaluator_calibrate(scorer->evaluator, sub, &scorer->calibration[resolution],
                            scorer->statistics));
    TRY(evaluator_run(scorer->evaluator, sub, scorer->statistics, &scorer->holdout[resolution],
                      &evaluation));
    *score = evaluation.accuracy;
    return STATUS_OK;
}
