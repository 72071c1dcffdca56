#include "search/scoring.h"
#include "support/memory.h"

#include <stdlib.h>

static enum status create(struct scorer *scorer, const struct network *supernet,
                          const struct ops *ops, struct pool *pool,
                          const struct pass_options *given, const real *weights) {
    struct pass_options options = *given;
    options.branches = SCORED_TOGETHER;
    TRY(evaluator_create(&scorer->evaluator, supernet, ops, pool, &options));
    size_t size = evaluator_statistics(scorer->evaluator)->size + READ_SLACK;
    for (int i = 0; i < SCORED_TOGETHER; i++)
        TRY(allocate(&scorer->statistics[i], size, sizeof(real), "a sub-network's statistics"));
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
    for (int i = 0; i < SCORED_TOGETHER; i++)
        free(scorer->statistics[i]);
    *scorer = (struct scorer){0};
}

enum status scorer_score(struct scorer *scorer, const struct subnetwork *const *subs, int count,
                         double *scores) {
    struct evaluation evaluations[SCORED_TOGETHER];
    int resolution = subnetwork_resolution(scorer->network, subs[0]);
    TRY(evaluator_calibrate_all(scorer->evaluator, subs, count, &scorer->calibration[resolution],
                                scorer->statistics));
    TRY(evaluator_run_all(scorer->evaluator, subs, count, (const real *const *)scorer->statistics,
                          &scorer->holdout[resolution], evaluations));
    for (int i = 0; i < count; i++)
        scores[i] = evaluations[i].accuracy;
    return STATUS_OK;
}
