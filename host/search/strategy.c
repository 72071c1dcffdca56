#include "search/strategy.h"
#include "search/strategy_types.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct strategy_type *const types[] = {&strategy_multi_layer, &strategy_single_layer,
                                                    &strategy_random, &strategy_uniform_scaling,
                                                    &strategy_evolution};

static enum status find_type(const char *name, const struct strategy_type **type) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(name, types[i]->name) == 0) {
            *type = types[i];
            return STATUS_OK;
        }
    }
    return fail(STATUS_USAGE,
                "search.strategy \"%s\" is none of \"multi_layer\", \"single_layer\", \"random\", "
                "\"uniform_scaling\", \"evolution\"",
                name);
}

static enum status check_config(const struct search_config *config) {
    if (config->samples < 1 || config->layers < 1)
        return fail(STATUS_USAGE,
                    "search.samples is %d and search.layers %d; both must be at least 1",
                    config->samples, config->layers);
    if (!(config->reduction >= 0 && config->min_reduction >= 0 && config->decay > 0 &&
          config->decay <= 1))
        return fail(STATUS_USAGE,
                    "search.reduction is %g, search.min_reduction %g and search.decay %g; the "
                    "first two must be at least 0, decay above 0 and at most 1",
                    config->reduction, config->min_reduction, config->decay);
    return STATUS_OK;
}

/* Steps from the largest to the smallest network, were every choice to take all of its options. */
static int steps_of(const struct network *network) {
    int steps = 0;
    for (int i = 0; i < network->choice_count; i++)
        steps += network->choices[i].count - 1;
    return steps;
}

/* Iterations until targets that start at 1 reach `share`, when each falls at least by `least`. */
static int iterations_to(double share, const struct search_config *config, double least) {
    const int endless = 1000000;
    double now = 1, fall = config->reduction;
    int iterations = 0;
    for (; now > share && iterations < endless; iterations++, fall *= config->decay)
        now -= fmax(fall, least);
    return iterations;
}

/* R0 d^(k-1) sums to R0 / (1 - d); what a budget needs beyond that comes from overshoot and from
 * steps of a single choice, which is slow. */
static void warn_of_decay(const struct search_space *space, int metric, double initial,
                          double smallest, char warning[256]) {
    const struct search_config *config = &space->config;
    double share = space->budgets[metric] / initial;
    double reached = fmax(0, 1 - config->reduction / (1 - config->decay));
    bool falls_short = config->decay < 1 && config->min_reduction == 0 && reached > share;
    if (warning[0] != '\0' || !falls_short)
        return;
    double least = (1 - smallest / initial) / fmax(1, steps_of(space->network));
    snprintf(warning, 256,
             "search.reduction %g with search.decay %g alone takes %s to %.1f %% of the initial "
             "network's, not to its budget of %.1f %%; single steps may go on to it, after about "
             "%d iterations",
             config->reduction, config->decay, metric_name(space->metrics[metric]), 100 * reached,
             100 * share, iterations_to(share, config, least));
}

static enum status check_budget(const struct search_space *space, int metric, bool descends,
                                char warning[256]) {
    struct subnetwork sub = subnetwork_smallest(space->network);
    double smallest, initial, budget = space->budgets[metric];
    TRY(metric_value(space->metrics[metric], &sub, &smallest));
    if (!(budget >= smallest))
        return fail(STATUS_USAGE,
                    "search.budgets: %s %.10g is below the smallest network of this space "
                    "(%.10g); raise it or widen the space",
                    metric_name(space->metrics[metric]), budget, smallest);
    if (!descends)
        return STATUS_OK;
    sub = subnetwork_largest(space->network);
    TRY(metric_value(space->metrics[metric], &sub, &initial));
    warn_of_decay(space, metric, initial, smallest, warning);
    return STATUS_OK;
}

enum status strategy_create(struct strategy *strategy, const struct search_space *space,
                            char warning[256]) {
    *strategy = (struct strategy){0};
    warning[0] = '\0';
    const struct strategy_type *type = NULL;
    TRY(find_type(space->config.strategy, &type));
    TRY(check_config(&space->config));
    for (int i = 0; i < space->metric_count; i++)
        TRY(check_budget(space, i, type->descends, warning));
    TRY(type->create(&strategy->state, space));
    strategy->type = type;
    return STATUS_OK;
}

void strategy_release(struct strategy *strategy) {
    if (strategy->type)
        strategy->type->release(strategy->state);
    *strategy = (struct strategy){0};
}
