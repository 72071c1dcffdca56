/* Strategies on toy problems: layers side by side, so that costs add up, and scores by formula. */
#include "search/descent.h"
#include "search/strategy.h"
#include "support_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 4096, LAYERS = 7, OPTION_COUNT = 6 };

struct toy {
    struct network network;
    struct search_space space;
    double interaction; /* what each pair of layers of unequal relative width costs */
};

/* Layer i has options 48, 40, ..., 8 and costs more or less per channel. */
static void toy_create(struct toy *toy, int layers, const int *options) {
    static const int kernels[LAYERS] = {3, 1, 5, 3, 1, 3, 5};
    *toy = (struct toy){0};
    network_begin(&toy->network, 8, 8, 3, 10);
    for (int i = 0; i < layers; i++) {
        struct layer layer = {.kind = LAYER_CONVOLUTION, .norm = true};
        snprintf(layer.name, sizeof layer.name, "layer%d", i);
        network_add(&toy->network, layer,
                    (struct dimensions){.width = options, .kernel = OPTIONS(kernels[i])});
        toy->network.layers[i].input = -1;
    }
    toy->space.network = &toy->network;
    toy->space.config = (struct search_config){.strategy = "multi_layer",
                                               .samples = 30,
                                               .total_samples = 100,
                                               .population = 12,
                                               .parents = 0.25,
                                               .mutation = 0.1,
                                               .crossover = 0.5,
                                               .layers = 3,
                                               .reduction = 0.05,
                                               .decay = 0.98};
}

/* A budget of this share of the initial network's metric. */
static void toy_budget(struct toy *toy, const struct metric_config *config, double share) {
    struct search_space *space = &toy->space;
    int i = space->metric_count++;
    assert_int_equal(metric_create(&space->metrics[i], config, &toy->network, NULL), STATUS_OK);
    struct subnetwork largest = subnetwork_largest(&toy->network);
    double initial;
    assert_int_equal(metric_value(space->metrics[i], &largest, &initial), STATUS_OK);
    space->budgets[i] = share * initial;
}

static const struct metric_config macs = {.name = "macs"}, parameters = {.name = "parameters"};

static void toy_release(struct toy *toy) {
    for (int i = 0; i < toy->space.metric_count; i++)
        metric_release(toy->space.metrics[i]);
    network_release(&toy->network);
}

/* Sum of concave utilities of the relative widths, about 0..1. */
static double score_of(const struct toy *toy, const struct subnetwork *sub) {
    static const double worth[LAYERS] = {3, 1, 4, 1, 5, 2, 6};
    double sum = 0, most = 0, before = 0;
    for (int i = 0; i < toy->network.layer_count; i++) {
        const struct layer *layer = &toy->network.layers[i];
        if (layer->kind == LAYER_POOL || layer->kind == LAYER_LINEAR)
            continue;
        const struct choice *width = &toy->network.choices[layer->width];
        double share = (double)width->options[sub->option[layer->width]] / width->options[0];
        if (layer->present >= 0 && subnetwork_value(&toy->network, sub, layer->present) == 0)
            share = 0;
        sum += worth[i] * (1 - exp(-2 * share)) - (i % 2 && share != before ? toy->interaction : 0);
        most += worth[i];
        before = share;
    }
    return sum / most;
}

struct result {
    int count;
    struct sample samples[MOST];
    bool found;
    struct sample best;
};

static void go_on(const struct toy *toy, struct strategy *strategy, struct result *result) {
    for (;;) {
        struct sample *samples, *again;
        int count, count_again;
        assert_int_equal(strategy->type->ask(strategy->state, &samples, &count), STATUS_OK);
        if (count == 0)
            break;
        assert_int_equal(strategy->type->ask(strategy->state, &again, &count_again), STATUS_OK);
        assert_true(again == samples && count == count_again);
        for (int i = 0; i < count; i++)
            if (!samples[i].known)
                samples[i].score = score_of(toy, &samples[i].sub);
        assert_int_equal(strategy->type->tell(strategy->state, samples, count), STATUS_OK);
        assert_true(result->count + count <= MOST);
        memcpy(&result->samples[result->count], samples, (size_t)count * sizeof *samples);
        result->count += count;
    }
    result->found = strategy->type->best(strategy->state, &result->best);
}

static void run(const struct toy *toy, struct result *result) {
    struct strategy strategy;
    char warning[256];
    result->count = 0;
    assert_int_equal(strategy_create(&strategy, &toy->space, warning), STATUS_OK);
    go_on(toy, &strategy, result);
    strategy_release(&strategy);
}

static struct result result, other; /* too large for the stack */

/* By definition: layers of which a sub-network differs from another one. */
static int layers_changed(const struct network *network, const struct subnetwork *a,
                          const struct subnetwork *b) {
    int changed = 0;
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        const int choices[] = {layer->width, layer->expand, layer->kernel, layer->present};
        bool differs = false;
        for (int j = 0; j < 4; j++)
            differs |= choices[j] >= 0 && a->option[choices[j]] != b->option[choices[j]];
        changed += differs;
    }
    return changed;
}

static void check_sample(const struct toy *toy, const struct sample *sample,
                         const struct sample *initial, const struct sample *current, int layers) {
    const struct search_space *space = &toy->space;
    struct subnetwork canonical = subnetwork_canonical(&toy->network, sample->sub);
    assert_true(subnetwork_equal(&canonical, &sample->sub));
    assert_true(layers_changed(&toy->network, &sample->sub, &current->sub) <= layers);
    double fall = space->config.reduction;
    for (int i = 1; i < sample->iteration; i++)
        fall *= space->config.decay;
    for (int i = 0; i < space->metric_count; i++) {
        double value;
        assert_int_equal(metric_value(space->metrics[i], &sample->sub, &value), STATUS_OK);
        assert_true(value == sample->metrics[i]);
        double target = current->metrics[i] - fall * initial->metrics[i];
        assert_true(value <= fmax(target, space->budgets[i]) + 1e-6);
        assert_true(value < current->metrics[i] || value <= space->budgets[i]);
    }
}

/* What holds for every coordinate descent that shrinks at most so many layers per sample. */
static void check_descent(const struct toy *toy, const struct result *checked, int layers) {
    const struct sample *initial = &checked->samples[0], *current = initial;
    struct subnetwork largest = subnetwork_largest(&toy->network);
    assert_true(subnetwork_equal(&initial->sub, &largest) && initial->chosen);
    assert_int_equal(initial->iteration_samples, 1);
    for (int i = 1; i < checked->count;) {
        const struct sample *chosen = NULL, *next = &checked->samples[i];
        for (int j = 0; j < next->iteration_samples; j++, i++) {
            const struct sample *sample = &checked->samples[i];
            assert_int_equal(sample->number, i);
            assert_int_equal(sample->iteration, current->iteration + 1);
            check_sample(toy, sample, initial, current, layers);
            for (int k = 0; k < i && !sample->known; k++)
                assert_false(subnetwork_equal(&checked->samples[k].sub, &sample->sub));
            if (sample->chosen) {
                assert_null(chosen);
                chosen = sample;
            }
        }
        assert_non_null(chosen);
        for (int j = 0; j < next->iteration_samples; j++)
            assert_true(next[j].score <= chosen->score);
        current = chosen;
    }
    assert_true(checked->found);
    assert_true(subnetwork_equal(&checked->best.sub, &current->sub));
    for (int i = 0; i < toy->space.metric_count; i++)
        assert_true(checked->best.metrics[i] <= toy->space.budgets[i]);
}

static const int *const widths = (const int[]){48, 40, 32, 24, 16, 8, 0};

/* All of the space, with costs counted layer by layer. */
static double exhaustive_optimum(const struct toy *toy) {
    double best = 0;
    int combinations = 1;
    for (int i = 0; i < toy->network.layer_count; i++)
        combinations *= OPTION_COUNT;
    for (int c = 0; c < combinations; c++) {
        struct subnetwork sub = {0};
        double cost = 0;
        for (int i = 0, rest = c; i < toy->network.layer_count; i++, rest /= OPTION_COUNT) {
            const struct layer *layer = &toy->network.layers[i];
            int kernel = toy->network.choices[layer->kernel].options[0];
            sub.option[layer->width] = (short)(rest % OPTION_COUNT);
            cost +=
                64.0 * 3 * kernel * kernel * subnetwork_value(&toy->network, &sub, layer->width);
        }
        if (cost <= toy->space.budgets[0])
            best = fmax(best, score_of(toy, &sub));
    }
    return best;
}

/* Means over seeds of the score, of a strategy with so many samples. */
static double mean_score(struct toy *toy, const char *strategy, double *samples) {
    const int seeds = 8;
    double score = 0;
    strcpy(toy->space.config.strategy, strategy);
    *samples = 0;
    for (int seed = 1; seed <= seeds; seed++) {
        toy->space.seed = (uint64_t)seed;
        run(toy, &result);
        assert_true(result.found);
        assert_true(result.best.metrics[0] <= toy->space.budgets[0]);
        assert_true(result.best.score == score_of(toy, &result.best.sub));
        score += result.best.score / seeds;
        *samples += (double)result.count / seeds;
    }
    return score;
}

/* Without interactions every descent comes near the optimum. With them, single-layer descent breaks
 * up pairs that are worth keeping, with large steps and small ones; and random search finds less in
 * as many samples, beside evolution too. Seeds are fixed; the bounds leave about a third of each
 * measured gap. */
static void quality_on_known_optima(void **state) {
    (void)state;
    for (int interacting = 0; interacting <= 1; interacting++) {
        struct toy toy;
        toy_create(&toy, LAYERS, widths);
        toy_budget(&toy, &macs, 0.4);
        toy.interaction = interacting ? 2 : 0;
        double optimum = exhaustive_optimum(&toy), samples, unused;
        double multi = mean_score(&toy, "multi_layer", &samples);
        toy.space.config.total_samples = (int)samples;
        double single = mean_score(&toy, "single_layer", &unused);
        double random = mean_score(&toy, "random", &unused);
        double evolution = mean_score(&toy, "evolution", &unused);
        toy.space.config.reduction = 0.01;
        double single_slow = mean_score(&toy, "single_layer", &unused);
        assert_true(multi <= optimum);
        assert_true(multi > (interacting ? 0.96 : 0.99) * optimum);
        assert_true(multi > random + (interacting ? 0.03 : 0.007));
        assert_true(evolution <= optimum);
        assert_true(evolution > (interacting ? 0.96 : 0.985) * optimum);
        assert_true(evolution > random + (interacting ? 0.02 : 0.003));
        if (interacting)
            assert_true(multi > fmax(single, single_slow) + 0.05);
        else
            assert_true(single > 0.98 * optimum);
        toy_release(&toy);
    }
}

static void descent_keeps_its_promises(void **state) {
    (void)state;
    for (int layers = 1; layers <= 5; layers++) {
        struct toy toy;
        toy_create(&toy, LAYERS, widths);
        toy_budget(&toy, &macs, 0.55);
        toy.space.config.layers = layers;
        run(&toy, &result);
        /* at the end, layers at their smallest may need help */
        check_descent(&toy, &result, layers == 1 ? 2 : layers);
        toy_release(&toy);
    }
}

static void single_layer_tries_every_layer_once(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, LAYERS, widths);
    toy_budget(&toy, &macs, 0.9);
    strcpy(toy.space.config.strategy, "single_layer");
    toy.space.config.reduction = 0.01; /* any layer alone meets the first target */
    run(&toy, &result);
    check_descent(&toy, &result, 1);
    assert_int_equal(result.samples[1].iteration_samples, LAYERS);
    for (int i = 0; i < LAYERS; i++)
        assert_true(result.samples[1 + i].sub.option[toy.network.layers[i].width] > 0);
    toy_release(&toy);
}

static void several_budgets_hold_at_once(void **state) {
    (void)state;
    const char *names[] = {"multi_layer", "single_layer", "random", "evolution"};
    for (int i = 0; i < 4; i++) {
        struct toy toy;
        toy_create(&toy, LAYERS, widths);
        toy_budget(&toy, &macs, 0.6);
        toy_budget(&toy, &parameters, 0.5);
        strcpy(toy.space.config.strategy, names[i]);
        run(&toy, &result);
        assert_true(result.found);
        if (i < 2)
            check_descent(&toy, &result, LAYERS);
        for (int j = 0; j < result.count && i >= 2; j++)
            assert_true(result.samples[j].metrics[0] <= toy.space.budgets[0] &&
                        result.samples[j].metrics[1] <= toy.space.budgets[1]);
        toy_release(&toy);
    }
}

static void uniform_scaling_is_the_largest_that_fits(void **state) {
    (void)state;
    for (double share = 0.2; share <= 1; share += 0.1) {
        struct toy toy;
        toy_create(&toy, LAYERS, widths); /* all layers have the same options: one for all */
        toy_budget(&toy, &macs, share);
        strcpy(toy.space.config.strategy, "uniform_scaling");
        run(&toy, &result);
        assert_true(result.found && result.count == 1 && result.samples[0].chosen);
        struct subnetwork wider = result.best.sub;
        for (int i = 0; i < LAYERS; i++) {
            int choice = toy.network.layers[i].width;
            assert_int_equal(wider.option[choice],
                             result.best.sub.option[toy.network.layers[0].width]);
            if (result.best.sub.option[choice] > 0)
                wider.option[choice]--;
        }
        double value, wider_value;
        metric_value(toy.space.metrics[0], &result.best.sub, &value);
        metric_value(toy.space.metrics[0], &wider, &wider_value);
        assert_true(value <= toy.space.budgets[0]);
        assert_true(subnetwork_equal(&wider, &result.best.sub) ||
                    wider_value > toy.space.budgets[0]);
        toy_release(&toy);
    }
}

static void random_search_gives_distinct_samples(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 2, widths);
    toy_budget(&toy, &macs, 1);
    strcpy(toy.space.config.strategy, "random");
    toy.space.config.samples = 10;
    toy.space.config.total_samples = 25;
    run(&toy, &result);
    assert_int_equal(result.count, 25);
    toy.space.config.total_samples = 1000; /* the space has 36 */
    run(&toy, &result);
    assert_int_equal(result.count, 36);
    double best = 0;
    for (int i = 0; i < result.count; i++) {
        for (int j = 0; j < i; j++)
            assert_false(subnetwork_equal(&result.samples[i].sub, &result.samples[j].sub));
        if (result.samples[i].chosen)
            assert_true(result.samples[i].score > best);
        best = fmax(best, result.samples[i].chosen ? result.samples[i].score : 0);
    }
    assert_true(best == result.best.score &&
                subnetwork_equal(&result.best.sub, &(struct subnetwork){0}));
    toy_release(&toy);
}

/* Generations whose children come of the best so far, by mutation alone and by crossing alone. */
static void evolution_inherits_from_the_best(void **state) {
    (void)state;
    for (int crosses = 0; crosses <= 1; crosses++) {
        struct toy toy;
        struct sample *best[2] = {NULL, NULL}; /* the two parents of the next generation */
        toy_create(&toy, LAYERS, widths);
        toy_budget(&toy, &macs, 0.7);
        strcpy(toy.space.config.strategy, "evolution");
        toy.space.config.parents = 2.0 / 12;
        toy.space.config.mutation = 0; /* with it no mutation is new: only shrunk ones are added */
        toy.space.config.crossover = 1;
        if (!crosses)
            toy.space.config.crossover = 0, toy.space.config.mutation = 0.2;
        run(&toy, &result);
        assert_true(result.count > 12 && result.count <= 100);
        for (int i = 0; i < result.count; i++) {
            struct sample *sample = &result.samples[i];
            assert_true(sample->metrics[0] <= toy.space.budgets[0]);
            for (int j = 0; j < i; j++)
                assert_false(subnetwork_equal(&sample->sub, &result.samples[j].sub));
            for (int c = 0; crosses && i >= 12 && i < 24 && c < toy.network.choice_count; c++)
                assert_true(sample->sub.option[c] == best[0]->sub.option[c] ||
                            sample->sub.option[c] == best[1]->sub.option[c] ||
                            sample->iteration > 1);
            if (i >= 12)
                continue;
            if (best[0] == NULL || sample->score > best[0]->score)
                best[1] = best[0], best[0] = sample;
            else if (best[1] == NULL || sample->score > best[1]->score)
                best[1] = sample;
        }
        toy_release(&toy);
    }
}

static double target_of(const struct toy *toy, const struct sample *initial,
                        const struct sample *current) {
    const struct search_config *config = &toy->space.config;
    double fall = config->reduction * pow(config->decay, current->iteration);
    return fmax(current->metrics[0] - fall * initial->metrics[0], toy->space.budgets[0]);
}

/* Is it one step behind a sub-network of the current one that does not meet the target yet? */
static bool can_be_drawn(const struct toy *toy, const struct subnetwork *sub,
                         const struct subnetwork *current, double target) {
    bool nested = true, just_meets = false;
    for (int i = 0; i < toy->network.layer_count; i++) {
        int width = toy->network.layers[i].width;
        struct subnetwork before = *sub;
        nested &= sub->option[width] >= current->option[width];
        if (sub->option[width] > current->option[width]) {
            before.option[width]--;
            just_meets |= network_cost(&toy->network, &before).macs > target;
        }
    }
    return nested && just_meets && network_cost(&toy->network, sub).macs <= target;
}

/* Nothing scored before it that could be drawn as well is better. */
static void check_known(const struct toy *toy, const struct result *checked, int number) {
    const struct sample *known = &checked->samples[number], *current = known - 1;
    assert_int_equal(known->iteration_samples, 1);
    while (!current->chosen)
        current--;
    double target = target_of(toy, &checked->samples[0], current);
    assert_true(can_be_drawn(toy, &known->sub, &current->sub, target));
    for (int i = 0; i < number; i++)
        if (can_be_drawn(toy, &checked->samples[i].sub, &current->sub, target))
            assert_true(checked->samples[i].score <= known->score);
}

/* Small spaces down to their smallest network: steps are few, and what is left was often seen. */
static void small_spaces_are_walked_to_the_end(void **state) {
    (void)state;
    int known = 0;
    for (int seed = 1; seed <= 200; seed++) {
        struct toy toy;
        toy_create(&toy, 3, OPTIONS(8, 4, 2, 1));
        toy_budget(&toy, &macs, 0.125);
        toy.space.seed = (uint64_t)seed;
        toy.space.config.reduction = 0.02 + 0.01 * (seed % 10);
        toy.space.config.samples = 1 + seed % 6;
        toy.interaction = 2;
        run(&toy, &result);
        check_descent(&toy, &result, 3);
        struct subnetwork smallest = subnetwork_smallest(&toy.network);
        assert_true(subnetwork_equal(&result.best.sub, &smallest));
        for (int i = 0; i < result.count; i++) {
            if (result.samples[i].known)
                check_known(&toy, &result, i);
            known += result.samples[i].known;
            assert_true(result.samples[i].score == score_of(&toy, &result.samples[i].sub));
        }
        toy_release(&toy);
    }
    assert_true(known > 0);
}

static void more_layers_where_these_are_too_few(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, LAYERS, widths);
    toy_budget(&toy, &macs, 1.0 / 6);
    toy.space.config.layers = 1;
    toy.space.config.reduction = 1; /* straight to the smallest network */
    run(&toy, &result);
    assert_int_equal(result.count, 2);
    check_descent(&toy, &result, LAYERS);
    toy_release(&toy);
}

static void equal_scores_go_to_the_cheaper(void **state) {
    (void)state;
    const struct sample samples[] = {{.metrics = {5}, .score = 0.4},
                                     {.metrics = {9}, .score = 0.5},
                                     {.metrics = {7}, .score = 0.5},
                                     {.metrics = {7}, .score = 0.5},
                                     {.metrics = {8}, .score = 0.5}};
    assert_int_equal(best_of(samples, 5), 2);
}

static void a_met_budget_needs_no_search(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, LAYERS, widths);
    toy_budget(&toy, &macs, 1);
    run(&toy, &result);
    assert_int_equal(result.count, 1);
    check_descent(&toy, &result, 0);
    toy_release(&toy);
}

static void unusable_budgets_and_keys_are_told(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 1, OPTIONS(10, 5));
    toy_budget(&toy, &macs, 0.25); /* 4320: 64 pixels, 9 taps, 3 inputs, 10 filters, a quarter */
    struct strategy strategy;
    char warning[256];
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_USAGE);
    assert_string_equal(failure(),
                        "search.budgets: macs 4320 is below the smallest network of this space "
                        "(8640); raise it or widen the space");
    failure_clear();
    strategy_release(&strategy);
    toy.space.budgets[0] = 8640;
    strcpy(toy.space.config.strategy, "multi");
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_USAGE);
    assert_non_null(strstr(failure(), "search.strategy \"multi\" is none of"));
    failure_clear();
    strcpy(toy.space.config.strategy, "random");
    toy.space.config.total_samples = 0;
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_USAGE);
    failure_clear();
    toy.space.config.samples = 0;
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_USAGE);
    failure_clear();
    toy_release(&toy);
}

static void a_short_decay_is_warned_of(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 1, OPTIONS(10, 9, 8, 7, 6, 5));
    toy_budget(&toy, &macs, 0.55);
    toy.space.config.reduction = 0.2;
    toy.space.config.decay = 0.5;
    struct strategy strategy;
    char warning[256];
    /* falls 0.2 and then, 0.1 being the least step, 0.1 three times; 1 - 0.2 / 0.5 = 60 % */
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
    assert_string_equal(warning,
                        "search.reduction 0.2 with search.decay 0.5 alone takes macs to 60.0 % of "
                        "the initial network's, not to its budget of 55.0 %; single steps may go "
                        "on to it, after about 4 iterations");
    strategy_release(&strategy);
    toy.space.config.decay = 0.61; /* 1 - 0.2 / 0.39 = 48.7 % */
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
    assert_string_equal(warning, "");
    strategy_release(&strategy);
    toy.space.config.decay = 0.5;
    toy.space.config.min_reduction = 0.01;
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
    assert_string_equal(warning, "");
    strategy_release(&strategy);
    toy_release(&toy);
}

static void assert_equal_runs(const struct result *a, const struct result *b) {
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        const struct sample *x = &a->samples[i], *y = &b->samples[i];
        assert_true(subnetwork_equal(&x->sub, &y->sub));
        assert_true(x->number == y->number && x->iteration == y->iteration &&
                    x->iteration_samples == y->iteration_samples && x->score == y->score &&
                    x->chosen == y->chosen);
        assert_memory_equal(x->metrics, y->metrics, sizeof x->metrics);
    }
    assert_true(a->found == b->found && subnetwork_equal(&a->best.sub, &b->best.sub));
}

/* Every line on file, as a reader finds it. */
static void through_json(const struct toy *toy, struct result *changed) {
    for (int i = 0; i < changed->count; i++) {
        json_t *json = sample_to_json(&toy->space, &changed->samples[i]);
        char *text = json_dumps(json, JSON_COMPACT);
        json_t *back = json_loads(text, 0, NULL);
        assert_int_equal(sample_from_json(&toy->space, back, &changed->samples[i]), STATUS_OK);
        free(text);
        json_decref(back);
        json_decref(json);
    }
}

static void replay_goes_on_as_if_never_stopped(void **state) {
    (void)state;
    const char *names[] = {"multi_layer", "single_layer", "random", "evolution"};
    for (int i = 0; i < 4; i++) {
        struct toy toy;
        toy_create(&toy, 4, widths);
        toy_budget(&toy, &macs, 0.7);
        strcpy(toy.space.config.strategy, names[i]);
        toy.space.config.samples = 8;
        toy.space.config.total_samples = 36;
        run(&toy, &result);
        assert_true(result.count > 10);
        other = result;
        through_json(&toy, &other);
        assert_equal_runs(&result, &other);
        for (int cut = 0; cut <= result.count; cut++) {
            struct strategy strategy;
            char warning[256];
            int used, whole = 0;
            while (whole < cut && whole + result.samples[whole].iteration_samples <= cut)
                whole += result.samples[whole].iteration_samples;
            assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
            assert_int_equal(strategy_replay(&strategy, &toy.space, result.samples, cut, &used),
                             STATUS_OK);
            assert_int_equal(used, whole);
            other.count = used;
            go_on(&toy, &strategy, &other);
            assert_equal_runs(&result, &other);
            strategy_release(&strategy);
        }
        toy_release(&toy);
    }
}

static void expect_refused(const struct toy *toy, const char *says) {
    struct strategy strategy;
    char warning[256];
    int used;
    assert_int_equal(strategy_create(&strategy, &toy->space, warning), STATUS_OK);
    assert_int_equal(strategy_replay(&strategy, &toy->space, other.samples, other.count, &used),
                     STATUS_FAILED);
    if (!strstr(failure(), says))
        fail_msg("%s", failure());
    failure_clear();
    strategy_release(&strategy);
    other = result;
}

static void replay_refuses_another_search(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 4, widths);
    toy_budget(&toy, &macs, 0.7);
    run(&toy, &result);
    other = result;
    other.samples[5].metrics[0] += 1;
    expect_refused(&toy, "search: sample 5 has macs");
    other.samples[3].number = 7;
    expect_refused(&toy, "sample 7 of iteration 1 is told where sample 3");
    other.samples[2].score = NAN;
    expect_refused(&toy, "sample 2 has the score nan");
    other.samples[1].iteration_samples = 0;
    expect_refused(&toy, "sample 1 is of an iteration of 0 samples");
    int chosen = 1;
    while (!result.samples[chosen].chosen)
        chosen++;
    other.samples[chosen].chosen = false;
    expect_refused(&toy, "is not chosen on file, but by its score");
    other.samples[1].sub = other.samples[0].sub; /* shrinks nothing */
    other.samples[1].metrics[0] = other.samples[0].metrics[0];
    expect_refused(&toy, "search: sample 1 is none that iteration 1 asks for");
    toy_release(&toy);
}

static void broken_lines_are_told(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 1, OPTIONS(10, 5));
    toy_budget(&toy, &macs, 0.5);
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"[]", "sample: "},
        {"{\"number\": 1}", "sample: "},
        {"{\"number\":0,\"iteration\":0,\"iteration_samples\":1,\"subnetwork\":{\"layer0.width\":"
         "10,"
         "\"layer0.kernel\":3},\"metrics\":{},\"score\":1,\"chosen\":true}",
         "sample: its metric \"macs\" is missing"},
        {"{\"number\":0,\"iteration\":0,\"iteration_samples\":1,\"subnetwork\":{\"layer0.width\":"
         "10},"
         "\"metrics\":{\"macs\":1},\"score\":1,\"chosen\":true}",
         "\"layer0.kernel\" is missing"},
        {"{\"number\":0,\"iteration\":0,\"iteration_samples\":1,\"subnetwork\":{\"layer0.width\":"
         "10,"
         "\"layer0.kernel\":3},\"metrics\":{\"macs\":1},\"score\":\"1\",\"chosen\":true}",
         "sample: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample sample;
        json_t *json = json_loads(cases[i].line, 0, NULL);
        assert_non_null(json);
        assert_int_equal(sample_from_json(&toy.space, json, &sample), STATUS_USAGE);
        if (!strstr(failure(), cases[i].says))
            fail_msg("%s", failure());
        failure_clear();
        json_decref(json);
    }
    toy_release(&toy);
}

static void tied_layers_count_once(void **state) {
    (void)state;
    struct toy toy;
    toy_create(&toy, 4, widths);
    toy.network.layers[2].width = toy.network.layers[0].width; /* and nothing else to shrink */
    struct layer_list list;
    struct subnetwork sub = {0};
    layers_to_shrink(&toy.network, &sub, &list);
    assert_int_equal(list.count, 3);
    sub.option[toy.network.layers[0].width] = OPTION_COUNT - 1;
    layers_to_shrink(&toy.network, &sub, &list);
    assert_int_equal(list.count, 2);

    toy_budget(&toy, &macs, 0.3);
    run(&toy, &result);
    check_descent(&toy, &result, 4); /* three layers, one of which is two */
    toy_release(&toy);
}

static void blocks_may_become_absent(void **state) {
    (void)state;
    struct toy toy = {0};
    network_begin(&toy.network, 8, 8, 16, 10);
    for (int i = 0; i < 4; i++) {
        struct layer layer = {.kind = LAYER_BLOCK, .bypass = 16, .residual = true};
        snprintf(layer.name, sizeof layer.name, "block%d", i);
        network_add(&toy.network, layer,
                    (struct dimensions){.width = OPTIONS(16, 8),
                                        .expand = OPTIONS(48, 32, 16),
                                        .kernel = OPTIONS(5, 3),
                                        .may_be_absent = true});
    }
    network_add_pool(&toy.network);
    network_add_classifier(&toy.network);
    toy.space.network = &toy.network;
    toy.space.config = (struct search_config){
        .strategy = "multi_layer", .samples = 20, .layers = 2, .reduction = 0.1, .decay = 1};
    toy_budget(&toy, &macs, 0.02);
    run(&toy, &result);
    check_descent(&toy, &result, 4);
    for (int i = 0; i < 4; i++) /* under 2 % of the initial network no block is left */
        assert_int_equal(
            subnetwork_value(&toy.network, &result.best.sub, toy.network.layers[i].present), 0);
    bool partly = false; /* absent beside shrunk */
    struct layer_list list;
    for (int i = 0; i < result.count; i++) {
        const struct subnetwork *sub = &result.samples[i].sub;
        int absent = 0;
        for (int j = 0; j < 4; j++)
            absent += subnetwork_value(&toy.network, sub, toy.network.layers[j].present) == 0;
        layers_to_shrink(&toy.network, sub, &list);
        assert_true(list.count <= 4 - absent);
        partly |= absent > 0 && absent < 4;
    }
    assert_true(partly);

    strcpy(toy.space.config.strategy, "random");
    toy.space.config.total_samples = 60;
    toy.space.budgets[0] *= 20;
    run(&toy, &result);
    assert_int_equal(result.count, 60);
    toy_release(&toy);
}

static char folder[] = "/tmp/taper-search-XXXXXX";

static struct metric_config script_metric(const char *text) {
    struct metric_config config = {.name = "delay", .deadline = 20};
    char path[64];
    snprintf(path, sizeof path, "%s/script.py", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    snprintf(config.command, sizeof config.command, "exec python3 %s %s/log", path, folder);
    return config;
}

/* Of the widths of four layers, as the script below logs them. */
static double macs_of_line(const struct toy *toy, const char *line) {
    int width[4];
    double macs_sum = 0;
    assert_int_equal(sscanf(line, "%d %d %d %d", &width[0], &width[1], &width[2], &width[3]), 4);
    for (int i = 0; i < 4; i++) {
        int kernel = toy->network.choices[toy->network.layers[i].kernel].options[0];
        macs_sum += 64.0 * 3 * kernel * kernel * width[i];
    }
    return macs_sum;
}

/* Slow metrics: not asked twice for a sub-network, nor for one whose cheap metrics are too high;
 * and not asked at all for what is replayed. */
static void check_questions(double macs_share) {
    struct metric_config config =
        script_metric("import json, sys\n"
                      "log = open(sys.argv[1], 'w')\n"
                      "for line in sys.stdin:\n"
                      "    q = json.loads(line)\n"
                      "    widths = list(q['subnetwork'].values())[::2]\n"
                      "    print(*widths, file=log, flush=True)\n"
                      "    print(json.dumps({'id': q['id'], 'value': sum(widths)}), flush=True)\n");
    struct toy toy;
    toy_create(&toy, 4, widths);
    toy_budget(&toy, &config, 0.45);
    toy_budget(&toy, &macs, macs_share);
    run(&toy, &result);
    check_descent(&toy, &result, 4);
    toy_release(&toy); /* after check_descent, which asked for every sample once more */

    toy_create(&toy, 4, widths);
    toy_budget(&toy, &config, 0.45);
    toy_budget(&toy, &macs, macs_share);
    struct strategy strategy;
    char warning[256], path[64], lines[512][32];
    int used, count = 0;
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
    assert_int_equal(
        strategy_replay(&strategy, &toy.space, result.samples, result.count / 3, &used), STATUS_OK);
    assert_true(used > 0);
    snprintf(path, sizeof path, "%s/log", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (count < 512 && fgets(lines[count], sizeof *lines, file))
        count++;
    assert_int_equal(count, 3); /* the budget's initial one; then smallest and initial */
    other = result;
    other.count = used;
    go_on(&toy, &strategy, &other);
    assert_equal_runs(&result, &other);
    clearerr(file);
    while (count < 512 && fgets(lines[count], sizeof *lines, file))
        count++;
    fclose(file);
    assert_in_range(count, 4, 511);
    const struct sample *current = &result.samples[used - 1];
    while (!current->chosen)
        current--;
    double initial = result.samples[0].metrics[1], fall = 0.05 * pow(0.98, current->iteration);
    double target = fmax(current->metrics[1] - fall * initial, toy.space.budgets[1]);
    for (int i = 3; i < count; i++) {
        assert_true(macs_of_line(&toy, lines[i]) <= target);
        for (int j = 3; j < i; j++)
            assert_string_not_equal(lines[i], lines[j]);
        for (int j = 0; j < used; j++) {
            char told[32];
            const struct subnetwork *sub = &result.samples[j].sub;
            const struct layer *layers = toy.network.layers;
            snprintf(told, sizeof told, "%d %d %d %d\n",
                     subnetwork_value(&toy.network, sub, layers[0].width),
                     subnetwork_value(&toy.network, sub, layers[1].width),
                     subnetwork_value(&toy.network, sub, layers[2].width),
                     subnetwork_value(&toy.network, sub, layers[3].width));
            assert_string_not_equal(lines[i], told);
        }
    }
    strategy_release(&strategy);
    toy_release(&toy);
}

static void commands_are_asked_no_more_than_needed(void **state) {
    (void)state;
    check_questions(0.6);
    check_questions(1); /* the command alone decides */
}

static void a_descent_that_is_stuck_says_so(void **state) {
    (void)state;
    /* 1 for the smallest network when the budget is checked, and never again under 5 */
    struct metric_config config =
        script_metric("import json, sys\n"
                      "for line in sys.stdin:\n"
                      "    q = json.loads(line)\n"
                      "    value = 1 if q['id'] == 2 else 5\n"
                      "    print(json.dumps({'id': q['id'], 'value': value}), flush=True)\n");
    struct toy toy;
    toy_create(&toy, 3, OPTIONS(2, 1));
    toy_budget(&toy, &config, 0.4);
    struct strategy strategy;
    struct sample *samples;
    char warning[256];
    int count;
    assert_int_equal(strategy_create(&strategy, &toy.space, warning), STATUS_OK);
    assert_int_equal(strategy.type->ask(strategy.state, &samples, &count), STATUS_OK);
    assert_int_equal(count, 1);
    samples[0].score = 0.5;
    assert_int_equal(strategy.type->tell(strategy.state, samples, count), STATUS_OK);
    assert_int_equal(strategy.type->ask(strategy.state, &samples, &count), STATUS_FAILED);
    assert_string_equal(failure(),
                        "search: iteration 1: no shrinking of the 3 layers that still can brings "
                        "delay from 5 to its target 4.75 (budget 2); the points found so far are "
                        "kept");
    failure_clear();
    assert_false(strategy.type->best(strategy.state, &result.best));
    strategy_release(&strategy);
    toy_release(&toy);
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char path[64];
    const char *names[] = {"script.py", "log"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quality_on_known_optima),
        cmocka_unit_test(descent_keeps_its_promises),
        cmocka_unit_test(single_layer_tries_every_layer_once),
        cmocka_unit_test(several_budgets_hold_at_once),
        cmocka_unit_test(uniform_scaling_is_the_largest_that_fits),
        cmocka_unit_test(evolution_inherits_from_the_best),
        cmocka_unit_test(random_search_gives_distinct_samples),
        cmocka_unit_test(small_spaces_are_walked_to_the_end),
        cmocka_unit_test(more_layers_where_these_are_too_few),
        cmocka_unit_test(equal_scores_go_to_the_cheaper),
        cmocka_unit_test(a_met_budget_needs_no_search),
        cmocka_unit_test(unusable_budgets_and_keys_are_told),
        cmocka_unit_test(a_short_decay_is_warned_of),
        cmocka_unit_test(replay_goes_on_as_if_never_stopped),
        cmocka_unit_test(replay_refuses_another_search),
        cmocka_unit_test(broken_lines_are_told),
        cmocka_unit_test(tied_layers_count_once),
        cmocka_unit_test(blocks_may_become_absent),
        cmocka_unit_test(commands_are_asked_no_more_than_needed),
        cmocka_unit_test(a_descent_that_is_stuck_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
