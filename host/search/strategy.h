/* A search strategy: asks for sub-networks to be scored, is told the scores.
 *
 * It sees choices and numbers, never weights or images, so it is tested on toy problems.
 * Adding one: a file that fills struct strategy_type, and a row in strategy.c's table.
 *
 * The caller's loop: ask; score every sample that is not `known`; tell; append the samples to
 * search.jsonl; until an answer is empty.
 */
#ifndef TAPER_STRATEGY_H
#define TAPER_STRATEGY_H

#include "metric/metric.h"
#include "network/network.h"
#include "support/status.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { MAX_BUDGETS = 8 };

/* Everything of the `search` section of a configuration that strategies read (method 2.3). */
struct search_config {
    char strategy[MAX_NAME]; /* a row of strategy.c */
    int budget_count;
    struct {
        struct metric_config metric;
        double value; /* absolute, in the metric's unit; or 0 and */
        double share; /* a share of the initial network's metric */
    } budgets[MAX_BUDGETS];
    int samples;          /* multi_layer: J; random: per answer; single_layer: has one per layer */
    int total_samples;    /* random, evolution: how many in all */
    int population;       /* evolution: samples of a generation */
    double parents;       /* the best of all so far that have children, share of the population */
    double mutation;      /* probability that a choice of a mutated parent is drawn anew */
    double crossover;     /* share of the children that have two parents; others are mutated */
    int layers;           /* multi_layer: L */
    double reduction;     /* R0, a share of the initial metric */
    double decay;         /* d */
    double min_reduction; /* least fall of the target per iteration, share of the initial metric;
                             0: one step is always taken anyway */
    int holdout_images;   /* scored on (0: the whole hold-out set) */
    int calibration_images; /* training images for the statistics of a sample */
};

/* What a strategy may use; owned by the caller, outlives it. */
struct search_space {
    const struct network *network;
    int metric_count; /* = budget_count, at least 1 */
    struct metric *metrics[MAX_BUDGETS];
    double budgets[MAX_BUDGETS]; /* absolute */
    uint64_t seed;
    struct search_config config;
};

/* One scored sub-network: a line of search.jsonl. */
struct sample {
    int number;            /* from 0, in the order of asking */
    int iteration;         /* coordinate descent: 0 is the initial network alone */
    int iteration_samples; /* how many the iteration has */
    struct subnetwork sub; /* canonical */
    double metrics[MAX_BUDGETS];
    double score; /* accuracy on the hold-out images, 0..1 */
    bool known;   /* asked with its score, of an earlier iteration: not to be scored again */
    bool chosen;  /* became the current network of its iteration (random search: the best so far):
                     a point of the trade-off curve, which is all chosen samples in order */
};

struct strategy {
    const struct strategy_type *type;
    void *state;
};

struct strategy_type {
    const char *name;
    bool descends; /* by targets: reads reduction, decay and min_reduction */
    enum status (*create)(void **state, const struct search_space *space);
    void (*release)(void *state);
    /* The samples of the next iteration, all but score and chosen filled; *count 0: the search is
     * over. They belong to the strategy until the next call of ask or tell; asking again without
     * telling gives them again. Fails with a clear sentence when it cannot reach the budgets. */
    enum status (*ask)(void *state, struct sample **samples, int *count);
    /* All samples of an iteration, scored; sets chosen. Needs no ask before it: what a strategy
     * knows is what it was told. Fails when they cannot be this iteration's. */
    enum status (*tell)(void *state, struct sample *samples, int count);
    /* The best sub-network that meets every budget; false: none yet. */
    bool (*best)(const void *state, struct sample *best);
    /* Optional, for strategies that steer the training of the super-network (NULL otherwise). No
     * strategy here has them, and the training loop does not call them yet: what such a strategy
     * has learnt must then be saved with the training state, for a cut training to go on to the
     * same bits, and the hash of the super-network's keys must cover the search's. */
    struct subnetwork (*draw)(void *state, uint64_t step, int group);
    void (*observe)(void *state, uint64_t step, const double *group_losses, int groups);
};

/* Checks first that every budget is at or above the smallest network's metric (an error naming both
 * numbers), and warns through `warning` (may be "") when R0 and d alone fall short of a budget. */
enum status strategy_create(struct strategy *strategy, const struct search_space *space,
                            char warning[256]);
void strategy_release(struct strategy *strategy); /* a zeroed one is fine */

/* A state is the list of samples told so far: telling them again restores a strategy exactly, with
 * no draw or outside metric repeated. Uses whole iterations; *used is how many samples that were,
 * the rest (a cut-off tail) is asked again. Fails when they cannot be this search's. */
enum status strategy_replay(struct strategy *strategy, const struct search_space *space,
                            const struct sample *samples, int count, int *used);

/* One line of search.jsonl. Choices by name with their values; the caller's to json_decref(), NULL
 * when there is no memory. */
json_t *sample_to_json(const struct search_space *space, const struct sample *sample);
enum status sample_from_json(const struct search_space *space, const json_t *json,
                             struct sample *sample);

#endif
