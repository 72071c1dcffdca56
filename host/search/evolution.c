/* Evolutionary search, as once-for-all networks are searched (Cai et al., ICLR 2020): a population
 * of random sub-networks, then generations of as many children of the best ones so far, each a
 * mutation of one parent or a crossing of two. What is over a budget is thrown away and drawn
 * again; where that fails too often, the last one is shrunk at random until it meets the budgets.
 */
#include "network/draw.h"
#include "search/progress.h"
#include "search/shrink.h"
#include "search/strategy_types.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 100 }; /* for one sample that is new and within the budgets */

struct evolution {
    struct progress progress;
    struct layer_list layers; /* all that can shrink */
    int parent_count, parent_room;
    struct sample *parents; /* [parent_room] the best so far, from the best on */
};

static void release(void *state) {
    struct evolution *evolution = state;
    progress_release(&evolution->progress);
    free(evolution->parents);
    free(evolution);
}

static enum status create_parts(struct evolution *evolution, const struct search_space *space) {
    const struct search_config *config = &space->config;
    TRY(progress_create(&evolution->progress, space, config->population));
    evolution->parent_room = (int)(config->parents * config->population);
    if (evolution->parent_room < 1)
        evolution->parent_room = 1;
    struct subnetwork largest = subnetwork_largest(space->network);
    layers_to_shrink(space->network, &largest, &evolution->layers);
    return allocate(&evolution->parents, (size_t)evolution->parent_room, sizeof *evolution->parents,
                    "the parents of a generation");
}

static enum status create(void **state, const struct search_space *space) {
    const struct search_config *config = &space->config;
    if (config->total_samples < 1 || config->population < 1)
        return fail(STATUS_USAGE,
                    "search.total_samples is %d and search.population %d; evolution needs at "
                    "least 1 of both",
                    config->total_samples, config->population);
    struct evolution *evolution;
    TRY(allocate(&evolution, 1, sizeof *evolution, "the search"));
    enum status status = create_parts(evolution, space);
    if (status != STATUS_OK) {
        release(evolution);
        return status;
    }
    *state = evolution;
    return STATUS_OK;
}

static const struct subnetwork *any_parent(const struct evolution *evolution,
                                           struct random_sequence *random) {
    return &evolution->parents[random_below(random, (uint32_t)evolution->parent_count)].sub;
}

/* Every choice is drawn anew with the mutation's probability. */
static struct subnetwork mutate(const struct evolution *evolution, struct random_sequence *random) {
    const struct search_space *space = evolution->progress.space;
    struct subnetwork sub = *any_parent(evolution, random);
    for (int i = 0; i < space->network->choice_count; i++)
        if (random_uniform(random) < space->config.mutation)
            sub.option[i] = choice_draw(space->network, i, random);
    return subnetwork_canonical(space->network, sub);
}

/* Every choice is one of the parents', as likely of either. */
static struct subnetwork cross(const struct evolution *evolution, struct random_sequence *random) {
    const struct network *network = evolution->progress.space->network;
    struct subnetwork sub = *any_parent(evolution, random);
    const struct subnetwork *with = any_parent(evolution, random);
    for (int i = 0; i < network->choice_count; i++)
        if (random_below(random, 2) == 0)
            sub.option[i] = with->option[i];
    return subnetwork_canonical(network, sub);
}

static struct subnetwork draw(const struct evolution *evolution, bool crosses,
                              struct random_sequence *random) {
    if (evolution->parent_count == 0)
        return subnetwork_draw(evolution->progress.space->network, random);
    return crosses ? cross(evolution, random) : mutate(evolution, random);
}

static enum status draw_sample(struct evolution *evolution, bool crosses,
                               struct random_sequence *random) {
    struct progress *progress = &evolution->progress;
    const struct search_space *space = progress->space;
    struct sample sample;
    bool met = false;
    for (int i = 0; i < TRIES; i++) {
        sample = (struct sample){.sub = draw(evolution, crosses, random)};
        if (!progress_is_new(progress, &sample.sub))
            continue;
        TRY(measure(space, &progress->ledger, &sample.sub, sample.metrics));
        if (all_within(space, sample.metrics, space->budgets)) {
            progress_add(progress, &sample);
            return STATUS_OK;
        }
    }
    TRY(shrink(space, &progress->ledger, &evolution->layers, space->budgets, random, &sample,
               &met));
    if (met && progress_is_new(progress, &sample.sub))
        progress_add(progress, &sample);
    return STATUS_OK;
}

static enum status draw_all(void *state) {
    struct evolution *evolution = state;
    struct progress *progress = &evolution->progress;
    const struct search_config *config = &progress->space->config;
    int left = config->total_samples - progress->told;
    int count = left < config->population ? left : config->population;
    for (int i = 0; i < count; i++) {
        struct random_sequence random = random_sequence(progress->space->seed, RANDOM_SEARCH,
                                                        (uint64_t)progress->iteration, (uint32_t)i);
        TRY(draw_sample(evolution, i < config->crossover * count, &random));
    }
    return STATUS_OK;
}

static enum status ask(void *state, struct sample **samples, int *count) {
    struct evolution *evolution = state;
    return progress_ask(&evolution->progress, draw_all, evolution, samples, count);
}

/* Into the parents, if it is better than the last one of as many as there may be. */
static void consider(struct evolution *evolution, const struct sample *sample) {
    int place = evolution->parent_count;
    while (place > 0 && better(sample, &evolution->parents[place - 1]))
        place--;
    if (place == evolution->parent_room)
        return;
    if (evolution->parent_count < evolution->parent_room)
        evolution->parent_count++;
    memmove(&evolution->parents[place + 1], &evolution->parents[place],
            (size_t)(evolution->parent_count - 1 - place) * sizeof *sample);
    evolution->parents[place] = *sample;
}

static enum status tell(void *state, struct sample *samples, int count) {
    struct evolution *evolution = state;
    struct progress *progress = &evolution->progress;
    TRY(progress_check(progress, samples, count));
    for (int i = 0; i < count; i++) {
        if (!all_within(progress->space, samples[i].metrics, progress->space->budgets))
            return fail(STATUS_FAILED, "search: sample %d is over a budget", samples[i].number);
        samples[i].chosen = false;
    }
    struct sample *best = &samples[best_of(samples, count)];
    best->chosen = evolution->parent_count == 0 || better(best, &evolution->parents[0]);
    for (int i = 0; i < count; i++)
        consider(evolution, &samples[i]);
    return progress_tell(progress, samples, count);
}

static bool best_found(const void *state, struct sample *best) {
    const struct evolution *evolution = state;
    if (evolution->parent_count > 0)
        *best = evolution->parents[0];
    return evolution->parent_count > 0;
}

const struct strategy_type strategy_evolution = {.name = "evolution",
                                                 .create = create,
                                                 .release = release,
                                                 .ask = ask,
                                                 .tell = tell,
                                                 .best = best_found};
