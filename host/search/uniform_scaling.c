/* Uniform scaling, the yardstick of a search: one factor on all widths, the initial depth, kernels
 * and resolution; the largest such network that meets every budget. One answer of one sample. */
#include "search/progress.h"
#include "search/shrink.h"
#include "search/strategy_types.h"
#include "support/memory.h"

#include <stdlib.h>

enum { FACTORS = 1000 }; /* 1, 0.999, ... */

struct uniform_scaling {
    struct progress progress;
    bool found;
    struct sample best;
};

static void release(void *state) {
    struct uniform_scaling *scaling = state;
    progress_release(&scaling->progress);
    free(scaling);
}

static enum status create(void **state, const struct search_space *space) {
    struct uniform_scaling *scaling;
    TRY(allocate(&scaling, 1, sizeof *scaling, "the search"));
    enum status status = progress_create(&scaling->progress, space, 1);
    if (status != STATUS_OK) {
        release(scaling);
        return status;
    }
    *state = scaling;
    return STATUS_OK;
}

/* The option nearest to the scaled width; of two that are as near, the larger. */
static short nearest_option(const struct choice *choice, double factor) {
    double wanted = factor * choice->options[0];
    short best = 0;
    for (short i = 1; i < choice->count; i++)
        if (choice->options[best] - wanted > wanted - choice->options[i])
            best = i;
    return best;
}

static struct subnetwork scaled(const struct network *network, double factor) {
    struct subnetwork sub = subnetwork_largest(network);
    for (int i = 0; i < network->choice_count; i++)
        if (network->choices[i].kind == CHOICE_WIDTH)
            sub.option[i] = nearest_option(&network->choices[i], factor);
    return subnetwork_canonical(network, sub);
}

static enum status scale_until_met(struct uniform_scaling *scaling) {
    struct progress *progress = &scaling->progress;
    const struct search_space *space = progress->space;
    struct sample sample = {.sub = scaled(space->network, 1)}, last;
    TRY(measure(space, &progress->ledger, &sample.sub, sample.metrics));
    for (int i = 1; !all_within(space, sample.metrics, space->budgets); i++) {
        if (i == FACTORS)
            return fail(STATUS_FAILED,
                        "search: no uniform scaling of the widths meets the budgets; kernels, "
                        "depth and resolution stay as they are");
        last = sample;
        sample.sub = scaled(space->network, 1 - (double)i / FACTORS);
        if (!subnetwork_equal(&sample.sub, &last.sub))
            TRY(measure(space, &progress->ledger, &sample.sub, sample.metrics));
    }
    progress_add(progress, &sample);
    return STATUS_OK;
}

static enum status ask(void *state, struct sample **samples, int *count) {
    struct uniform_scaling *scaling = state;
    if (scaling->progress.count == 0 && !scaling->found)
        TRY(scale_until_met(scaling));
    progress_answer(&scaling->progress, samples, count);
    return STATUS_OK;
}

static enum status tell(void *state, struct sample *samples, int count) {
    struct uniform_scaling *scaling = state;
    TRY(progress_check(&scaling->progress, samples, count));
    if (count != 1 ||
        !all_within(scaling->progress.space, samples[0].metrics, scaling->progress.space->budgets))
        return fail(STATUS_FAILED, "search: sample %d is not a uniform scaling within the budgets",
                    samples[0].number);
    samples[0].chosen = true;
    scaling->best = samples[0];
    scaling->found = true;
    return progress_tell(&scaling->progress, samples, count);
}

static bool best_found(const void *state, struct sample *best) {
    const struct uniform_scaling *scaling = state;
    if (scaling->found)
        *best = scaling->best;
    return scaling->found;
}

const struct strategy_type strategy_uniform_scaling = {.name = "uniform_scaling",
                                                       .create = create,
                                                       .release = release,
                                                       .ask = ask,
                                                       .tell = tell,
                                                       .best = best_found};
