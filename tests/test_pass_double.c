/* The pass as a whole, in double: the properties of ordered dropout with channel bypass.
 *
 * Reference for property 1: stand-alone networks, extracted and run alone. Reference for the
 * gradients: central differences of the loss. */
#include "supernet/pass.h"
#include "support/random.h"
#include "support_network.h"
#include "support_pass.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    IMAGES = PASS_IMAGES,
    GROUPS = 4,
    HEIGHT = PASS_HEIGHT,
    WIDTH = PASS_WIDTH,
    CHANNELS = PASS_CHANNELS,
    CLASSES = PASS_CLASSES
};

static struct pass *make_pass(const struct network *network, int groups, bool shared, int shards,
                              struct pool *pool) {
    return pass_make(network, ops_cpu(), groups, shared, shards, pool);
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
    pass_network(&network);
    struct pass *pass = make_pass(&network, GROUPS, false, 0, NULL);
    const struct parameters *parameters = pass_parameters(pass);
    real *values = pass_random_parameters(parameters);
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
            subs[g] = pass_draw(&network, round * GROUPS + g);
            groups[g] = (struct batch_group){&subs[g], images[g]};
        }
        struct pass_batch batch = pass_batch_from(0);
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
            struct pass_batch part = pass_batch_from(picture);
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
    struct pass_batch batch = pass_batch_from(0);
    struct pass_result result;
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    return result.loss;
}

/* Property 4 for the whole pass, along random directions of each parameter tensor. */
static void check_differences(bool shared, int groups_count) {
    struct network network;
    pass_network(&network);
    struct pass *pass = make_pass(&network, IMAGES, shared, 5, NULL);
    const struct parameters *parameters = pass_parameters(pass);
    real *values = pass_random_parameters(parameters);
    real *gradient = calloc(parameters->size, sizeof *gradient);
    struct subnetwork subs[IMAGES];
    struct batch_group groups[IMAGES];
    for (int g = 0; g < groups_count; g++) {
        subs[g] = pass_draw(&network, 100 + g);
        groups[g] = (struct batch_group){&subs[g], IMAGES / groups_count};
    }
    struct pass_batch batch = pass_batch_from(0);
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
    pass_network(&network);
    real *gradients[2];
    double losses[2];
    for (int threads = 1; threads <= 2; threads++) {
        struct pool *pool = NULL;
        assert_int_equal(pool_create(&pool, threads), STATUS_OK);
        struct pass *pass = make_pass(&network, 6, shared, 6, pool);
        const struct parameters *parameters = pass_parameters(pass);
        real *values = pass_random_parameters(parameters);
        real *gradient = gradients[threads - 1] = calloc(parameters->size, sizeof *gradient);
        struct subnetwork subs[6];
        struct batch_group groups[6];
        for (int g = 0; g < 6; g++) {
            subs[g] = pass_draw(&network, 40 + g);
            groups[g] = (struct batch_group){&subs[g], 2};
        }
        struct pass_batch batch = pass_batch_from(0);
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
    pass_network(&network);
    struct pass *pass = make_pass(&network, 1, false, 4, NULL);
    real *values = pass_random_parameters(pass_parameters(pass));
    real *statistics = calloc(pass_statistics(pass)->size, sizeof *statistics);
    struct subnetwork sub = pass_draw(&network, 77);
    struct batch_group group = {&sub, IMAGES};
    struct pass_batch batch = pass_batch_from(0);
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

/* What launches and ints cannot count is refused before memory is taken for it. */
static void batches_beyond_counting_are_refused(void **state) {
    (void)state;
    static const struct {
        int images, groups, height;
        const char *why;
    } cases[] = {{12, 1025, HEIGHT, "1025 sub-networks per batch are more than 1024"},
                 {65536, 1, HEIGHT, "a batch of 65536 images is more than 65535"},
                 {65535, 1, 5000, "a batch of 65535 images of 5000x7 has more than 2^31 pixels"}};
    struct network network;
    pass_network(&network);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pass *pass = NULL;
        const struct pass_options options = {.images = cases[i].images, .groups = cases[i].groups};
        network.height = cases[i].height;
        assert_int_equal(pass_create(&pass, &network, ops_cpu(), NULL, &options), STATUS_USAGE);
        assert_string_equal(failure(), cases[i].why);
        assert_null(pass);
        failure_clear();
    }
    network_release(&network);
}

/* What ops.prepare was given. */
static const struct convolution *laid_out[64];
static int laid_out_count;

static enum status note_prepare(const struct convolution *const *convolutions, int count) {
    for (int i = 0; i < count; i++) {
        for (int before = 0; before < laid_out_count; before++)
            assert_ptr_not_equal(laid_out[before], convolutions[i]);
        assert_true(laid_out_count < (int)(sizeof laid_out / sizeof laid_out[0]));
        laid_out[laid_out_count++] = convolutions[i];
    }
    return ops_cpu()->prepare(convolutions, count);
}

/* Of each convolution once, and not again while they are the same. */
static void weights_are_laid_out_once(void **state) {
    (void)state;
    struct network network;
    pass_network(&network);
    struct ops ops = *ops_cpu();
    ops.prepare = note_prepare;
    struct pass *pass = pass_make(&network, &ops, 1, false, 2, NULL);
    real *values = pass_random_parameters(pass_parameters(pass));
    struct subnetwork sub = pass_draw(&network, 5);
    struct batch_group group = {&sub, IMAGES};
    struct pass_batch batch = pass_batch_from(0);
    struct pass_result result;
    laid_out_count = 0;
    assert_int_equal(pass_set_groups(pass, &group, 1), STATUS_OK);
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    assert_true(laid_out_count > 0);
    int once = laid_out_count;
    laid_out_count = 0;
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_BATCH, &result), STATUS_OK);
    assert_int_equal(laid_out_count, once);
    free(values);
    pass_release(pass);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_equal_extracted_networks),
        cmocka_unit_test(given_statistics_repeat_the_batch),
        cmocka_unit_test(weights_are_laid_out_once),
        cmocka_unit_test(batches_beyond_counting_are_refused),
        cmocka_unit_test(differences_per_group),
        cmocka_unit_test(differences_shared),
        cmocka_unit_test(differences_shared_one_image_each),
        cmocka_unit_test(threads_per_group),
        cmocka_unit_test(threads_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
