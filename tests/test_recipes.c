/* The ImageNet recipes search a space that holds MobileNetV3-Large, and leave room above it. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONFIGS TAPER_SOURCE_DIR "/configs/imagenet-mobilenet-v3"

static const char *const recipes[] = {CONFIGS "-macs.yaml", CONFIGS "-latency.yaml"};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static void read_config(struct config *config, const char *path) {
    enum status status = config_read(config, path, NULL, 0);
    if (status != STATUS_OK)
        fail_msg("%s", failure());
}

/* Takes the option that keeps `value`, which there must be. */
static void choose(const struct network *network, struct subnetwork *sub, int choice, int value) {
    for (int i = 0; i < network->choices[choice].count; i++)
        if (network->choices[choice].options[i] == value) {
            sub->option[choice] = (short)i;
            return;
        }
    fail_msg("%s cannot be %d", network->choices[choice].name, value);
}

static int largest(const struct network *network, int choice) {
    return network->choices[choice].options[0];
}

static void choose_layer(const struct network *network, struct subnetwork *sub,
                         const struct layer *layer, const struct network *wanted,
                         const struct layer *as) {
    assert_int_equal(layer->kind, as->kind);
    assert_int_equal(layer->stride, as->stride);
    assert_int_equal(layer->activation, as->activation);
    assert_int_equal(layer->squeeze_excite, as->squeeze_excite);
    assert_int_equal(layer->expansion, as->expansion);
    const int own[] = {layer->width, layer->expand, layer->kernel};
    const int theirs[] = {as->width, as->expand, as->kernel};
    for (int i = 0; i < 3; i++)
        if (own[i] >= 0)
            choose(network, sub, own[i], largest(wanted, theirs[i]));
}

static bool may_be_absent(const struct network *network, const struct layer *layer) {
    return layer->kind == LAYER_BLOCK && network->choices[layer->present].count == 2;
}

/* Whether the layers from here on begin a new stage: other pixels or another width. */
static bool same_stage(const struct network *network, int layer) {
    return layer < network->layer_count && network->layers[layer].kind == LAYER_BLOCK &&
           network->layers[layer].residual;
}

/* Goes through both networks side by side: what the deeper one has more at the end of a stage is
 * absent. */
static struct subnetwork find(const struct network *network, const struct network *wanted) {
    struct subnetwork sub = subnetwork_largest(network);
    int next = 0;
    for (int i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        if (same_stage(network, i) && !same_stage(wanted, next)) {
            assert_true(may_be_absent(network, layer));
            choose(network, &sub, layer->present, 0);
            continue;
        }
        assert_true(next < wanted->layer_count);
        choose_layer(network, &sub, layer, wanted, &wanted->layers[next++]);
    }
    assert_int_equal(next, wanted->layer_count);
    return sub;
}

static void holds_mobilenet_v3(void **state) {
    (void)state;
    struct config wanted, recipe;
    read_config(&wanted, CONFIGS ".yaml");
    for (int i = 0; i < RECIPES; i++) {
        read_config(&recipe, recipes[i]);
        struct subnetwork sub = find(&recipe.network, &wanted.network);
        struct subnetwork whole = subnetwork_largest(&recipe.network);
        struct cost cost = network_cost(&recipe.network, &sub);
        assert_float_equal(cost.parameters / 1e6, 5.483, 0.0005);
        assert_float_equal(cost.macs / 1e6, 216.6, 0.05);
        struct cost most = network_cost(&recipe.network, &whole);
        assert_true(most.macs > 2 * cost.macs);
        config_release(&recipe);
    }
    config_release(&wanted);
}

/* The comment beside the budget: as many multiplications as MobileNetV3-Large has, and no more. */
static void budget_is_that_of_mobilenet_v3(void **state) {
    (void)state;
    struct config recipe;
    read_config(&recipe, recipes[0]);
    struct subnetwork whole = subnetwork_largest(&recipe.network);
    double budget =
        recipe.search.budgets[0].share * network_cost(&recipe.network, &whole).macs / 1e6;
    assert_true(budget <= 216.6 && budget > 216);
    config_release(&recipe);
}

/* The falls of the targets, which become ever smaller, add up to what the budget asks for. */
static void targets_reach_the_budget(void **state) {
    (void)state;
    for (int i = 0; i < RECIPES; i++) {
        struct config recipe;
        read_config(&recipe, recipes[i]);
        const struct search_config *search = &recipe.search;
        assert_true(search->reduction / (1 - search->decay) > 1 - search->budgets[0].share);
        assert_int_equal(recipe.supernet.training.batch_images % recipe.supernet.subnets_per_batch,
                         0);
        assert_int_equal(recipe.data.holdout_images % recipe.network.classes, 0);
        config_release(&recipe);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(holds_mobilenet_v3),
                                       cmocka_unit_test(budget_is_that_of_mobilenet_v3),
                                       cmocka_unit_test(targets_reach_the_budget)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
