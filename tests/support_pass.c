#include "support_pass.h"
#include "support/random.h"
#include "support_network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t pictures[PASS_IMAGES * PASS_HEIGHT * PASS_WIDTH * PASS_CHANNELS];
static int labels[PASS_IMAGES];
static real sample_weights[PASS_IMAGES];

void pass_network(struct network *network) {
    network_begin(network, PASS_HEIGHT, PASS_WIDTH, PASS_CHANNELS, PASS_CLASSES);
    network_add(network,
                (struct layer){.name = "stem",
                               .kind = LAYER_CONVOLUTION,
                               .norm = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){.width = OPTIONS(9, 7), .kernel = OPTIONS(3)});
    network_add(network,
                (struct layer){.name = "same",
                               .kind = LAYER_BLOCK,
                               .residual = true,
                               .bypass = 9,
                               .activation = ACTIVATION_RELU6},
                (struct dimensions){.width = OPTIONS(9, 8, 3),
                                    .expand = OPTIONS(23, 9, 7),
                                    .kernel = OPTIONS(5, 3),
                                    .may_be_absent = true});
    network_add(network,
                (struct layer){.name = "down",
                               .kind = LAYER_BLOCK,
                               .stride = 2,
                               .squeeze_excite = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){.width = OPTIONS(17, 8),
                                    .expand = OPTIONS(40, 23),
                                    .kernel = OPTIONS(7, 5, 3)});
    network_add(network,
                (struct layer){.name = "plain",
                               .kind = LAYER_BLOCK,
                               .residual = true,
                               .bypass = 12,
                               .activation = ACTIVATION_RELU},
                (struct dimensions){.width = OPTIONS(17, 9), .kernel = OPTIONS(3)});
    network_add(network,
                (struct layer){.name = "head",
                               .kind = LAYER_CONVOLUTION,
                               .norm = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){.width = OPTIONS(23, 16), .kernel = OPTIONS(1)});
    network_add_pool(network);
    network_add(
        network,
        (struct layer){.name = "hidden", .kind = LAYER_LINEAR, .activation = ACTIVATION_HARD_SWISH},
        (struct dimensions){.width = OPTIONS(11)});
    network_add_classifier(network);
    assert_int_equal(network_check(network), STATUS_OK);
}

struct subnetwork pass_draw(const struct network *network, uint32_t number) {
    struct random_sequence random = random_sequence(3, RANDOM_SEARCH, number, 0);
    struct subnetwork sub = {{0}};
    for (int choice = 0; choice < network->choice_count; choice++)
        sub.option[choice] = (short)random_below(&random, network->choices[choice].count);
    return sub;
}

static void fill_batch(void) {
    static bool filled;
    if (filled)
        return;
    filled = true;
    struct random_sequence random = random_sequence(5, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < sizeof pictures; i++)
        pictures[i] = (uint8_t)random_below(&random, 256);
    for (int i = 0; i < PASS_IMAGES; i++) {
        labels[i] = (int)random_below(&random, PASS_CLASSES);
        sample_weights[i] = (real)(0.5 + random_uniform(&random));
    }
}

real *pass_random_parameters(const struct parameters *parameters) {
    real *values = calloc(parameters->size, sizeof *values);
    parameters_initialise(parameters, 7, values);
    struct random_sequence random = random_sequence(9, RANDOM_INITIALISE, 0, 0);
    for (int i = 0; i < parameters->count; i++)
        for (size_t e = 0; parameters->list[i].role != ROLE_WEIGHT && e < parameters->list[i].count;
             e++)
            values[parameters->list[i].offset + e] += (real)(0.3 * random_normal(&random));
    return values;
}

const int pass_heights[] = {PASS_HEIGHT, 6, 3, 0}, pass_widths[] = {PASS_WIDTH, 5, 2, 0};

void pass_network_of_sizes(struct network *network) {
    pass_network(network);
    network_add_resolutions(network, pass_heights, pass_widths);
    assert_int_equal(network_check(network), STATUS_OK);
}

void pass_network_of_size(struct network *network, int resolution) {
    pass_network(network);
    network->height = pass_heights[resolution];
    network->width = pass_widths[resolution];
    assert_int_equal(network_check(network), STATUS_OK);
}

enum status pass_try(struct pass **pass, const struct network *network, const struct ops *ops,
                     int groups, bool shared, int shards, struct pool *pool) {
    struct pass_options options = {.images = PASS_IMAGES,
                                   .groups = groups,
                                   .shards = shards,
                                   .backward = true,
                                   .shared_norm = shared,
                                   .epsilon = (real)1e-5,
                                   .mean = {(real)0.5, (real)0.4},
                                   .deviation = {(real)0.25, (real)0.3}};
    *pass = NULL;
    return pass_create(pass, network, ops, pool, &options);
}

struct pass *pass_make(const struct network *network, const struct ops *ops, int groups,
                       bool shared, int shards, struct pool *pool) {
    struct pass *pass;
    assert_int_equal(pass_try(&pass, network, ops, groups, shared, shards, pool), STATUS_OK);
    return pass;
}

struct pass_batch pass_batch_from(int picture) {
    fill_batch();
    return (struct pass_batch){.pictures = pictures + (size_t)picture * PASS_HEIGHT * PASS_WIDTH *
                                                          PASS_CHANNELS,
                               .labels = labels + picture,
                               .weights = sample_weights + picture,
                               .smoothing = (real)0.1};
}
