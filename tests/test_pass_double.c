/* The pass as a whole, in double: the properties of ordered dropout with channel bypass.
 *
 * Reference for property 1: stand-alone networks, extracted and run alone. Reference for the
 * gradients: central differences of the loss. */
#include "supernet/pass.h"
#include "support/random.h"
#include "support_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 12, GROUPS = 4, HEIGHT = 9, WIDTH = 7, CHANNELS = 2, CLASSES = 5 };

static uint8_t pictures[IMAGES * HEIGHT * WIDTH * CHANNELS];
static int labels[IMAGES];
static real sample_weights[IMAGES];

/* One of everything: dense stem, a block of each kind (residual, stride 2, squeeze-excite, no
 * expansion, bypass over widening), hard-swish, a pooled 1x1 head, a hidden linear layer. */
static void build_network(struct network *network) {
    network_begin(network, HEIGHT, WIDTH, CHANNELS, CLASSES);
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

static struct subnetwork draw(const struct network *network, uint32_t number) {
    struct random_sequence random = random_sequence(3, RANDOM_SEARCH, number, 0);
    struct subnetwork sub = {{0}};
    for (int choice = 0; choice < network->choice_count; choice++)
        sub.option[choice] = (short)random_below(&random, network->choices[choice].count);
    return sub;
}

static void fill_batch(void) {
    struct random_sequence random = random_sequence(5, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < sizeof pictures; i++)
        pictures[i] = (uint8_t)random_below(&random, 256);
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = (int)random_below(&random, CLASSES);
        sample_weights[i] = 0.5 + random_uniform(&random);
    }
}

/* Weights with scales and shifts away from their start, so that every gradient matters. */
static real *random_parameters(const struct parameters *parameters) {
    real *values = calloc(parameters->size, sizeof *values);
    parameters_initialise(parameters, 7, values);
    struct random_sequence random = random_sequence(9, RANDOM_INITIALISE, 0, 0);
    for (int i = 0; i < parameters->count; i++)
        for (size_t e = 0; parameters->list[i].role != ROLE_WEIGHT && e < parameters->list[i].count;
             e++)
            values[parameters->list[i].offset + e] += 0.3 * random_normal(&random);
    return values;
}

static struct pass *make_pass(const struct network *network, int groups, bool shared, int shards,
                              struct pool *pool) {
    struct pass_options options = {.images = IMAGES,
                                   .groups = groups,
                                   .shards = shards,
                                   .backward = true,
                                   .shared_norm = shared,
                                   .epsilon = 1e-5,
                                   .mean = {0.5, 0.4},
                                   .deviation = {0.25, 0.3}};
    struct pass *pass = NULL;
    assert_int_equal(pass_create(&pass, network, ops_cpu(), pool, &options), STATUS_OK);
    return pass;
}

static struct pass_batch batch_from(int picture) {
    return (struct pass_batch){.pictures = pictures + (size_t)picture * HEIGHT * WIDTH * CHANNELS,
                               .labels = labels + picture,
                               .weights = sample_weights + picture,
                               .smoothing = 0.1};
}

static void add_box(const struct parameters *alone, const real *from,
                    const struct parameters *super, real scale, real *into, bool *covered) {
    for (int i = 0; i < alone->count; i++) {
        const struct parameter *part = &alone->list[i], *whole = NULL;
        for (int j = 0; j < super->count; j++)
            if (strcmp(super->list[j].name, part->name) == 0)
                whole = &super->list[j];
        assert_non_null(whole);
        int a[4] = {1, 1, 1, 1}, b[4] = {1, 1, 1, 1};
        for (int d = 0; d < part->rank; d++) {
            a[d] = part->shape[d];
            b[d] = whole->shape[d];
        }
        int ky = (b[2] - a[2]) / 2, kx = (b[3] - a[3]) / 2;
        for (int o = 0; o < a[0]; o++)
            for (int c = 0; c < a[1]; c++)
                for (int y = 0; y < a[2]; y++)
                    for (int x = 0; x < a[3]; x++) {
                        size_t at = whole->offset +
                                    (((size_t)o * b[1] + c) * b[2] + y + ky) * b[3] + x + kx;
                        into[at] +=
                            scale *
                            from[part->offset + (((size_t)o * a[1] + c) * a[2] + y) * a[3] + x];
                        covered[at] = true;
                    }
    }
}

static void assert_gradients(const struct parameters *parameters, const real *got,
                             const real *expected, const bool *covered) {
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        double error = 0, size = 0;
        for (size_t e = parameter->offset; e < parameter->offset + parameter->count; e++) {
            error += (got[e] - expected[e]) * (got[e] - expected[e]);
            size += expected[e] * expected[e];
            if (!covered[e]) /* dropped in every group: exactly zero */
                assert_true(got[e] == 0);
        }
        /* double rounding through about 20 operations; a wrong term is larger by 8 orders */
        if (sqrt(error) > 1e-9 * sqrt(size) + 1e-12)
            fail_msg("%s: gradient off by %g of %g", parameter->name, sqrt(error), sqrt(size));
    }
}

/* Property 1: one pass over G groups = the sum of G passes through stand-alone networks. */
static void groups_equal_extracted_networks(void **state) {
    (void)state;
    struct network network;
    build_network(&network);
    struct pass *pass = make_pass(&network, GROUPS, false, 0, NULL);
    const struct parameters *parameters = pass_parameters(pass);
    real *values = random_parameters(parameters);
    real *gradient = calloc(parameters->size, sizeof *gradient);
    real *expected = calloc(parameters->size, sizeof *expected);
    bool *covered = calloc(parameters->size, sizeof *covered);
    int images[GROUPS] = {2, 5, 3, 2};
    struct subnetwork subs[GROUPS];
    struct batch_group groups[GROUPS];
    for (int round = 0; round < 4; round++) {
        memset(expected, 0, parameters->size * sizeof *expected);
        memset(covered, 0, parameters->size * sizeof *covered);
        for (int g = 0; g < GROUPS; g++) {
            subs[g] = draw(&network, round * GROUPS + g);
            groups[g] = (struct batch_group){&subs[g], images[g]};
        }
        struct pass_batch batch = batch_from(0);
        struct pass_result result;
        assert_int_equal(pass_set_groups(pass, groups, GROUPS), STATUS_OK);
        assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
        assert_int_equal(pass_forward_backward(pass, &batch, gradient, &result), STATUS_OK);
        assert_int_equal(pass_guards_broken(pass), 0);
        double loss = 0;
        for (int g = 0, picture = 0; g < GROUPS; picture += images[g++]) {
            struct network alone;
            assert_int_equal(network_extract(&alone, &network, &subs[g]), STATUS_OK);
            struct pass *single = make_pass(&alone, 1, false, 0, NULL);
            const struct parameters *kept = pass_parameters(single);
            real *own = calloc(kept->size, sizeof *own),
                 *own_gradient = calloc(kept->size, sizeof *own);
            assert_int_equal(parameters_extract(parameters, values, kept, own), STATUS_OK);
            struct subnetwork whole = subnetwork_largest(&alone);
            struct batch_group one = {&whole, images[g]};
            struct pass_batch part = batch_from(picture);
            struct pass_result alone_result;
            assert_int_equal(pass_set_groups(single, &one, 1), STATUS_OK);
            assert_int_equal(pass_set_parameters(single, own), STATUS_OK);
            assert_int_equal(pass_forward_backward(single, &part, own_gradient, &alone_result),
                             STATUS_OK);
            real together[IMAGES][CLASSES], own_logits[IMAGES][CLASSES];
            assert_int_equal(pass_logits(pass, IMAGES, *together), STATUS_OK);
            assert_int_equal(pass_logits(single, images[g], *own_logits), STATUS_OK);
            for (int image = 0; image < images[g]; image++)
                for (int c = 0; c < CLASSES; c++)
                    assert_true(fabs(own_logits[image][c] - together[picture + image][c]) < 1e-9);
            loss += alone_result.loss * images[g] / IMAGES;
            add_box(kept, own_gradient, parameters, (real)images[g] / IMAGES, expected, covered);
            free(own);
            free(own_gradient);
            pass_release(single);
            network_release(&alone);
        }
        assert_true(fabs(loss - result.loss) < 1e-10);
        assert_gradients(parameters, gradient, expected, covered);
    }
    free(values);
    free(gradient);
    free(expected);
    free(covered);
    pass_release(pass);
    network_release(&network);
}

static double loss_at(struct pass *pass, const real *values) {
    struct pass_batch batch = batch_from(0);
    struct pass_result result;
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    return result.loss;
}

/* Property 4 for the whole pass, along random directions of each parameter tensor. */
static void check_differences(bool shared, int groups_count) {
    struct network network;
    build_network(&network);
    struct pass *pass = make_pass(&network, IMAGES, shared, 5, NULL);
    const struct parameters *parameters = pass_parameters(pass);
    real *values = random_parameters(parameters);
    real *gradient = calloc(parameters->size, sizeof *gradient);
    struct subnetwork subs[IMAGES];
    struct batch_group groups[IMAGES];
    for (int g = 0; g < groups_count; g++) {
        subs[g] = draw(&network, 100 + g);
        groups[g] = (struct batch_group){&subs[g], IMAGES / groups_count};
    }
    struct pass_batch batch = batch_from(0);
    struct pass_result result;
    assert_int_equal(pass_set_groups(pass, groups, groups_count), STATUS_OK);
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward_backward(pass, &batch, gradient, &result), STATUS_OK);
    double whole = 0;
    for (size_t i = 0; i < parameters->size; i++)
        whole += gradient[i] * gradient[i];
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        double step = 1e-7, slope = 0, size = 0;
        struct random_sequence random = random_sequence(11, RANDOM_SEARCH, i, 0);
        real *moved = malloc(parameters->size * sizeof *moved),
             *back = malloc(parameters->size * sizeof *back);
        memcpy(moved, values, parameters->size * sizeof *moved);
        memcpy(back, values, parameters->size * sizeof *back);
        for (size_t e = parameter->offset; e < parameter->offset + parameter->count; e++) {
            double direction = random_normal(&random);
            moved[e] += step * direction;
            back[e] -= step * direction;
            slope += gradient[e] * direction;
            size += gradient[e] * gradient[e];
        }
        double difference = (loss_at(pass, moved) - loss_at(pass, back)) / (2 * step);
        /* truncation, and single activations on the other side of a kink, at a step of 1e-7 */
        if (fabs(difference - slope) > 1e-5 * sqrt(size) + 1e-6 * sqrt(whole))
            fail_msg("%s: %g by differences, %g by backward", parameter->name, difference, slope);
        free(moved);
        free(back);
    }
    free(values);
    free(gradient);
    pass_release(pass);
    network_release(&network);
}

static void differences_per_group(void **state) {
    (void)state;
    check_differences(false, 4);
}

static void differences_shared(void **state) {
    (void)state;
    check_differences(true, 4);
}

static void differences_shared_one_image_each(void **state) {
    (void)state;
    check_differences(true, IMAGES);
}

/* Property 5: any number of threads, the same bits; in both ways of running. */
static void check_threads(bool shared) {
    struct network network;
    build_network(&network);
    real *gradients[2];
    double losses[2];
    for (int threads = 1; threads <= 2; threads++) {
        struct pool *pool = NULL;
        assert_int_equal(pool_create(&pool, threads), STATUS_OK);
        struct pass *pass = make_pass(&network, 6, shared, 6, pool);
        const struct parameters *parameters = pass_parameters(pass);
        real *values = random_parameters(parameters);
        real *gradient = gradients[threads - 1] = calloc(parameters->size, sizeof *gradient);
        struct subnetwork subs[6];
        struct batch_group groups[6];
        for (int g = 0; g < 6; g++) {
            subs[g] = draw(&network, 40 + g);
            groups[g] = (struct batch_group){&subs[g], 2};
        }
        struct pass_batch batch = batch_from(0);
        struct pass_result result;
        assert_int_equal(pass_set_groups(pass, groups, 6), STATUS_OK);
        assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
        assert_int_equal(pass_forward_backward(pass, &batch, gradient, &result), STATUS_OK);
        losses[threads - 1] = result.loss;
        if (threads == 2) {
            assert_memory_equal(gradients[0], gradients[1], parameters->size * sizeof *gradient);
            assert_memory_equal(&losses[0], &losses[1], sizeof losses[0]);
        }
        free(values);
        pass_release(pass);
        pool_release(pool);
    }
    free(gradients[0]);
    free(gradients[1]);
    network_release(&network);
}

static void threads_per_group(void **state) {
    (void)state;
    check_threads(false);
}

static void threads_shared(void **state) {
    (void)state;
    check_threads(true);
}

/* Evaluation with the statistics that a batch had gives that batch's logits. */
static void given_statistics_repeat_the_batch(void **state) {
    (void)state;
    struct network network;
    build_network(&network);
    struct pass *pass = make_pass(&network, 1, false, 4, NULL);
    real *values = random_parameters(pass_parameters(pass));
    real *statistics = calloc(pass_statistics(pass)->size, sizeof *statistics);
    struct subnetwork sub = draw(&network, 77);
    struct batch_group group = {&sub, IMAGES};
    struct pass_batch batch = batch_from(0);
    struct pass_result result;
    real before[IMAGES][CLASSES], after[IMAGES][CLASSES];
    assert_int_equal(pass_set_groups(pass, &group, 1), STATUS_OK);
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    assert_int_equal(pass_logits(pass, IMAGES, *before), STATUS_OK);
    assert_int_equal(pass_batch_statistics(pass, statistics), STATUS_OK);
    assert_int_equal(pass_set_statistics(pass, statistics), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_GIVEN, &result), STATUS_OK);
    assert_int_equal(pass_logits(pass, IMAGES, *after), STATUS_OK);
    for (int image = 0; image < IMAGES; image++)
        for (int c = 0; c < CLASSES; c++)
            assert_true(fabs(before[image][c] - after[image][c]) < 1e-9);
    free(values);
    free(statistics);
    pass_release(pass);
    network_release(&network);
}

int main(void) {
    fill_batch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_equal_extracted_networks),
        cmocka_unit_test(given_statistics_repeat_the_batch),
        cmocka_unit_test(differences_per_group),
        cmocka_unit_test(differences_shared),
        cmocka_unit_test(differences_shared_one_image_each),
        cmocka_unit_test(threads_per_group),
        cmocka_unit_test(threads_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
