/* A search strategy: asks for sub-networks to be scored, is told the scores.
 *
 * It sees choices and numbers, never weights or images, so it is tested on toy problems.
 * Adding one: a file that fills struct strategy_type, and a row in strategy.c's table.
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
    char strategy[MAX_NAME]; /* "multi_layer", "single_layer", "random" */
    int budget_count;
    struct {
        struct metric_config metric;
        double value; /* absolute, in the metric's unit; or 0 and */
        double share; /* a share of the initial network's metric */
    } budgets[MAX_BUDGETS];
    int samples;            /* J per iteration; random: per batch of asks */
    int total_samples;      /* random: how many in all (0: samples x iterations of no use: error) */
    int layers;             /* L */
    double reduction;       /* R0, a share of the initial metric */
    double decay;           /* d */
    double min_reduction;   /* least fall of the target per iteration, share of the initial metric;
                               0: one width step is always taken anyway */
    int holdout_images;     /* scored on (0: the whole hold-out set) */
    int calibration_images; /* training images for the statistics of a sample */
};

/* What a strategy may use; owned by the caller, outlives it. */
struct search_space {
    const struct network *network;
    int metric_count; /* = budget_count */
    struct metric *metrics[MAX_BUDGETS];
    double budgets[MAX_BUDGETS]; /* absolute */
    uint64_t seed;
    struct search_config config;
};

/* One scored sub-network: a line of search.jsonl. */
struct sample {
    int number; /* from 0, in the order of asking */
    int iteration;
    struct subnetwork sub;
    double metrics[MAX_BUDGETS];
    double score; /* accuracy on the hold-out images, 0..1 */
    bool chosen;  /* became the current network of its iteration (a point of the trade-off curve) */
};

struct strategy {
    const struct strategy_type *type;
    void *state;
};

struct strategy_type {
    const char *name;
    enum status (*create)(void **state, const struct search_space *space);
    void (*release)(void *state);
    /* Up to `most` samples to score; *count 0: the search is over. Each has number, iteration, sub
     * and metrics filled. All of them are told before the next ask. */
    enum status (*ask)(void *state, struct sample *samples, int most, int *count);
    enum status (*tell)(void *state, struct sample *samples, int count); /* sets chosen */
    /* The best sub-network that meets every budget; false: none yet. */
    bool (*best)(const void *state, struct sample *best);
    /* Optional, for strategies that steer the training of the super-network (NULL otherwise). */
    struct subnetwork (*draw)(void *state, uint64_t step, int group);
    void (*observe)(void *state, uint64_t step, const double *group_losses, int groups);
};

/* Checks first that every budget is at or above the smallest network's metric (an error naming both
 * numbers), and warns through `warning` (may be "") when R0 and d alone fall short of a budget. */
enum status strategy_create(struct strategy *strategy, const struct search_space *space,
                            char warning[256]);
void strategy_release(struct strategy *strategy);

/* A state is the list of samples told so far: replaying them restores a strategy exactly. `samples`
 * must be whole answers in the order of asking (a cut-off tail is simply asked again). Fails when
 * they are not what this strategy asked for. */
enum status strategy_replay(struct strategy *strategy, const struct sample *samples, int count,
                            int *used);

/* One line of search.jsonl. Choices by name with their values. */
json_t *sample_to_json(const struct search_space *space, const struct sample *sample);
enum status sample_from_json(const struct search_space *space, const json_t *json,
                             struct sample *sample);

#endif
