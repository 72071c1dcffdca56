#include "search/descent.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status descent_create(void **state, const struct search_space *space, int room) {
    struct descent *descent;
    TRY(allocate(&descent, 1, sizeof *descent, "the search"));
    enum status status = progress_create(&descent->progress, space, room);
    if (status != STATUS_OK) {
        descent_release(descent);
        return status;
    }
    *state = descent;
    return STATUS_OK;
}

void descent_release(void *state) {
    struct descent *descent = state;
    progress_release(&descent->progress);
    free(descent);
}

/* Where the metrics must be after this iteration. One that is over its budget falls at least by the
 * smallest step there is, so that the search always ends. */
static void set_targets(struct descent *descent) {
    const struct search_space *space = descent->progress.space;
    const struct search_config *config = &space->config;
    double share = fmax(config->reduction * pow(config->decay, descent->progress.iteration - 1),
                        config->min_reduction);
    for (int i = 0; i < space->metric_count; i++) {
        double current = descent->current.metrics[i];
        double target = fmin(current - share * descent->initial[i], nextafter(current, -INFINITY));
        descent->targets[i] = fmax(target, space->budgets[i]);
    }
}

/* `count` of all layers, without repetition; with `first` (>= 0) among them. */
static void pick_layers(const struct layer_list *all, int count, int first,
                        struct random_sequence *random, struct layer_list *picked) {
    *picked = *all;
    picked->count = count;
    for (int i = 0; i < count; i++) {
        int from = i == 0 && first >= 0 ? first
                                        : i + (int)random_below(random, (uint32_t)(all->count - i));
        int layer = picked->layers[from];
        picked->layers[from] = picked->layers[i];
        picked->layers[i] = layer;
    }
}

/* An iteration may find nothing new; then the best of what it knows keeps the descent going. */
static void keep_known(struct descent *descent, struct sample *sample) {
    const struct ledger_entry *entry = ledger_find(&descent->progress.ledger, &sample->sub);
    if (!entry || isnan(entry->score))
        return; /* in the answer */
    sample->score = entry->score;
    sample->known = true;
    if (!descent->known.known || better(sample, &descent->known))
        descent->known = *sample;
}

enum status descent_draw(struct descent *descent, struct random_sequence *random, int shrunk,
                         int first, enum drawn *drawn) {
    struct progress *progress = &descent->progress;
    *drawn = DRAWN_MISSED;
    for (int i = 0; i < REDRAWS && *drawn != DRAWN_NEW; i++) {
        struct layer_list picked;
        pick_layers(&descent->layers, shrunk, first, random, &picked);
        struct sample sample = {.sub = descent->current.sub};
        bool met;
        TRY(shrink(progress->space, &progress->ledger, &picked, descent->targets, random, &sample,
                   &met));
        if (met && progress_is_new(progress, &sample.sub)) {
            progress_add(progress, &sample);
            *drawn = DRAWN_NEW;
        } else if (met) {
            keep_known(descent, &sample);
            *drawn = DRAWN_KNOWN;
        }
    }
    return STATUS_OK;
}

static enum status stuck(const struct descent *descent) {
    const struct search_space *space = descent->progress.space;
    int i = 0;
    while (descent->current.metrics[i] <= space->budgets[i])
        i++;
    return fail(STATUS_FAILED,
                "search: iteration %d: no shrinking of the %d layers that still can brings %s from "
                "%.10g to its target %.10g (budget %.10g); the points found so far are kept",
                descent->progress.iteration, descent->layers.count, metric_name(space->metrics[i]),
                descent->current.metrics[i], descent->targets[i], space->budgets[i]);
}

static enum status ask_initial(struct descent *descent) {
    struct progress *progress = &descent->progress;
    struct sample sample = {.sub = subnetwork_largest(progress->space->network)};
    TRY(measure(progress->space, &progress->ledger, &sample.sub, sample.metrics));
    progress_add(progress, &sample);
    return STATUS_OK;
}

static enum status ask_smaller(struct descent *descent,
                               enum status (*draw_all)(struct descent *descent, int iteration)) {
    struct progress *progress = &descent->progress;
    set_targets(descent);
    layers_to_shrink(progress->space->network, &descent->current.sub, &descent->layers);
    descent->known = (struct sample){0};
    enum status status = draw_all(descent, progress->iteration);
    if (status != STATUS_OK) {
        progress->count = 0; /* half an answer must not be taken for a whole one */
        return status;
    }
    if (progress->count == 0 && descent->known.known)
        progress_add(progress, &descent->known);
    return progress->count > 0 ? STATUS_OK : stuck(descent);
}

enum status descent_ask(struct descent *descent,
                        enum status (*draw_all)(struct descent *descent, int iteration),
                        struct sample **samples, int *count) {
    struct progress *progress = &descent->progress;
    bool asked = progress->count > 0;
    if (!asked && progress->iteration == 0)
        TRY(ask_initial(descent));
    else if (!asked &&
             !all_within(progress->space, descent->current.metrics, progress->space->budgets))
        TRY(ask_smaller(descent, draw_all));
    progress_answer(progress, samples, count);
    return STATUS_OK;
}

/* Every choice at or below the current network's: descent only shrinks. */
static bool is_nested(const struct network *network, const struct subnetwork *smaller,
                      const struct subnetwork *larger) {
    if (subnetwork_resolution(network, smaller) < subnetwork_resolution(network, larger))
        return false;
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        bool absent =
            layer->present >= 0 && subnetwork_value(network, smaller, layer->present) == 0;
        const int choices[] = {layer->present, layer->width, layer->expand, layer->kernel};
        for (int j = 0; j < (absent ? 1 : 4); j++)
            if (choices[j] >= 0 && smaller->option[choices[j]] < larger->option[choices[j]])
                return false;
    }
    return true;
}

static enum status check_told(struct descent *descent, const struct sample *samples, int count) {
    struct progress *progress = &descent->progress;
    TRY(progress_check(progress, samples, count));
    if (progress->iteration > 0)
        set_targets(descent);
    for (int i = 0; i < count; i++) {
        const struct subnetwork *sub = &samples[i].sub;
        struct subnetwork largest = subnetwork_largest(progress->space->network);
        bool fits = progress->iteration == 0
                        ? subnetwork_equal(sub, &largest)
                        : is_nested(progress->space->network, sub, &descent->current.sub) &&
                              all_within(progress->space, samples[i].metrics, descent->targets);
        if (!fits)
            return fail(STATUS_FAILED, "search: sample %d is none that iteration %d asks for",
                        samples[i].number, progress->iteration);
    }
    return STATUS_OK;
}

enum status descent_tell(void *state, struct sample *samples, int count) {
    struct descent *descent = state;
    TRY(check_told(descent, samples, count));
    for (int i = 0; i < count; i++)
        samples[i].chosen = false;
    int best = best_of(samples, count);
    samples[best].chosen = true;
    descent->current = samples[best];
    if (descent->progress.iteration == 0)
        memcpy(descent->initial, samples[0].metrics, sizeof descent->initial);
    return progress_tell(&descent->progress, samples, count);
}

bool descent_best(const void *state, struct sample *best) {
    const struct descent *descent = state;
    const struct search_space *space = descent->progress.space;
    if (descent->progress.iteration == 0 ||
        !all_within(space, descent->current.metrics, space->budgets))
        return false;
    *best = descent->current;
    return true;
}
