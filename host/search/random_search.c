/* Random search: the best of a given number of random sub-networks. What is drawn over a budget is
 * shrunk at random until it meets it: throwing it away instead would take for ever under tight
 * budgets, and favour networks far below them under loose ones.
 */
#include "network/draw.h"
#include "search/progress.h"
#include "search/shrink.h"
#include "search/strategy_types.h"
#include "support/memory.h"

#include <stdlib.h>

enum { TRIES = 100 }; /* for one sample that is new */

struct random_search {
    struct progress progress;
    struct layer_list layers; /* all that can shrink */
    bool found;
    struct sample best;
};

static void release(void *state) {
    struct random_search *search = state;
    progress_release(&search->progress);
    free(search);
}

static enum status create(void **state, const struct search_space *space) {
    if (space->config.total_samples < 1)
        return fail(STATUS_USAGE, "search.total_samples is %d; random search needs at least 1",
                    space->config.total_samples);
    struct random_search *search;
    TRY(allocate(&search, 1, sizeof *search, "the search"));
    enum status status = progress_create(&search->progress, space, space->config.samples);
    if (status != STATUS_OK) {
        release(search);
        return status;
    }
    struct subnetwork largest = subnetwork_largest(space->network);
    layers_to_shrink(space->network, &largest, &search->layers);
    *state = search;
    return STATUS_OK;
}

static enum status draw_sample(struct random_search *search, struct random_sequence *random) {
    struct progress *progress = &search->progress;
    const struct search_space *space = progress->space;
    bool added = false;
    for (int i = 0; i < TRIES && !added; i++) {
        struct sample sample = {.sub = subnetwork_draw(space->network, random)};
        bool met;
        TRY(shrink(space, &progress->ledger, &search->layers, space->budgets, random, &sample,
                   &met));
        added = met && progress_is_new(progress, &sample.sub);
        if (added)
            progress_add(progress, &sample);
    }
    return STATUS_OK;
}

static enum status draw_all(void *state) {
    struct random_search *search = state;
    struct progress *progress = &search->progress;
    const struct search_space *space = progress->space;
    int left = space->config.total_samples - progress->told;
    for (int i = 0; i < left && i < space->config.samples; i++) {
        struct random_sequence random =
            random_sequence(space->seed, RANDOM_SEARCH, (uint64_t)progress->iteration, (uint32_t)i);
        TRY(draw_sample(search, &random));
    }
    return STATUS_OK;
}

static enum status ask(void *state, struct sample **samples, int *count) {
    struct random_search *search = state;
    return progress_ask(&search->progress, draw_all, search, samples, count);
}

static enum status tell(void *state, struct sample *samples, int count) {
    struct random_search *search = state;
    struct progress *progress = &search->progress;
    TRY(progress_check(progress, samples, count));
    for (int i = 0; i < count; i++) {
        if (!all_within(progress->space, samples[i].metrics, progress->space->budgets))
            return fail(STATUS_FAILED, "search: sample %d is over a budget", samples[i].number);
        samples[i].chosen = false;
    }
    struct sample *best = &samples[best_of(samples, count)];
    if (!search->found || better(best, &search->best)) {
        best->chosen = true;
        search->best = *best;
        search->found = true;
    }
    return progress_tell(progress, samples, count);
}

static bool best_found(const void *state, struct sample *best) {
    const struct random_search *search = state;
    if (search->found)
        *best = search->best;
    return search->found;
}

const struct strategy_type strategy_random = {.name = "random",
                                              .create = create,
                                              .release = release,
                                              .ask = ask,
                                              .tell = tell,
                                              .best = best_found};
