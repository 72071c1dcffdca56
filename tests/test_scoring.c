/* Property 6 of the design: the score of a sub-network is the accuracy of the extracted network on
 * the same images. And a score depends on nothing but the sub-network. */
#include "search/scoring.h"
#include "supernet/sampler.h"
#include "support_network.h"
#include "support_pictures.h"
#include "support_tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 400, CALIBRATION = 100, SIZE = 8, CLASSES = 4, SUBNETWORKS = 12 };

struct fixture {
    struct network network;
    struct pictures pictures;
    int indices[PICTURES];
    struct image_set calibration, holdout;
    struct parameters parameters;
    real *weights;
    struct pool *pool;
    struct pass_options options;
    struct scorer scorer;
};

static void begin(struct fixture *fixture) {
    *fixture = (struct fixture){
        .options = {
            .images = 64, .epsilon = (real)1e-5, .mean = {(real)0.5}, .deviation = {(real)0.25}}};
    network_tiny(&fixture->network, SIZE, 1, CLASSES);
    pictures_synthetic(&fixture->pictures, PICTURES, SIZE, 1, CLASSES, 5);
    for (int i = 0; i < PICTURES; i++)
        fixture->indices[i] = (i * 7) % PICTURES;
    fixture->calibration = (struct image_set){&fixture->pictures, fixture->indices, CALIBRATION};
    fixture->holdout = (struct image_set){&fixture->pictures, fixture->indices + CALIBRATION,
                                          PICTURES - CALIBRATION};
    assert_int_equal(parameters_of(&fixture->parameters, &fixture->network), STATUS_OK);
    fixture->weights = calloc(fixture->parameters.size + READ_SLACK, sizeof(real));
    parameters_initialise(&fixture->parameters, 9, fixture->weights);
    assert_int_equal(pool_create(&fixture->pool, 2), STATUS_OK);
    assert_int_equal(scorer_create(&fixture->scorer, &fixture->network, ops_cpu(), fixture->pool,
                                   &fixture->options, fixture->weights, &fixture->calibration,
                                   &fixture->holdout),
                     STATUS_OK);
}

static void end(struct fixture *fixture) {
    scorer_release(&fixture->scorer);
    pool_release(fixture->pool);
    free(fixture->weights);
    parameters_release(&fixture->parameters);
    pictures_release(&fixture->pictures);
    network_release(&fixture->network);
}

static struct subnetwork draw(const struct fixture *fixture, int number) {
    const struct sampler sampler = {.seed = 11, .kind = DRAW_UNIFORM, .batch_groups = 1};
    return subnetwork_canonical(&fixture->network,
                                sampler_draw(&sampler, &fixture->network, (uint64_t)number, 1));
}

static void score_all(struct fixture *fixture, const struct subnetwork *subs, int count,
                      double *scores) {
    const struct subnetwork *pointers[SCORED_TOGETHER];
    for (int i = 0; i < count; i++)
        pointers[i] = &subs[i];
    assert_int_equal(scorer_score(&fixture->scorer, pointers, count, scores), STATUS_OK);
}

/* The accuracy of the extraction with weights cut from the super-network's, and with statistics
 * cut from those that the scorer estimated (`own` false) or estimated by itself. */
static double extracted_accuracy(const struct fixture *fixture, const struct subnetwork *sub,
                                 bool own) {
    struct network alone;
    struct evaluator *evaluator;
    struct evaluation evaluation;
    assert_int_equal(network_extract(&alone, &fixture->network, sub), STATUS_OK);
    assert_int_equal(
        evaluator_create(&evaluator, &alone, ops_cpu(), fixture->pool, &fixture->options),
        STATUS_OK);
    const struct parameters *parameters = evaluator_parameters(evaluator);
    const struct parameters *statistics = evaluator_statistics(evaluator);
    struct subnetwork whole = subnetwork_largest(&alone);
    real *weights = calloc(parameters->size + READ_SLACK, sizeof(real));
    real *values = calloc(statistics->size + READ_SLACK, sizeof(real));
    assert_int_equal(
        parameters_extract(&fixture->parameters, fixture->weights, parameters, weights), STATUS_OK);
    assert_int_equal(evaluator_weights(evaluator, weights), STATUS_OK);
    if (own)
        assert_int_equal(evaluator_calibrate(evaluator, &whole, &fixture->calibration, values),
                         STATUS_OK);
    else
        assert_int_equal(parameters_extract(evaluator_statistics(fixture->scorer.evaluator),
                                            fixture->scorer.statistics[0], statistics, values),
                         STATUS_OK);
    assert_int_equal(evaluator_run(evaluator, &whole, values, &fixture->holdout, &evaluation),
                     STATUS_OK);
    free(weights);
    free(values);
    evaluator_release(evaluator);
    network_release(&alone);
    return evaluation.accuracy;
}

static void score_is_the_extractions_accuracy(void **state) {
    (void)state;
    struct fixture fixture;
    double lowest = 1, highest = 0;
    begin(&fixture);
    for (int n = 0; n < SUBNETWORKS; n++) {
        struct subnetwork sub = draw(&fixture, n);
        double score;
        score_all(&fixture, &sub, 1, &score);
        assert_true(score == extracted_accuracy(&fixture, &sub, false));
        assert_true(score == extracted_accuracy(&fixture, &sub, true));
        lowest = score < lowest ? score : lowest;
        highest = score > highest ? score : highest;
    }
    assert_true(lowest < highest); /* else the test compares constants */
    end(&fixture);
}

/* Sub-networks of two sizes in turn, each on its own pictures. */
static void scores_of_two_sizes_are_the_extractions(void **state) {
    (void)state;
    enum { SMALL = SIZE / 2 };
    struct fixture fixture;
    struct pictures small;
    begin(&fixture);
    scorer_release(&fixture.scorer);
    pictures_synthetic(&small, PICTURES, SMALL, 1, CLASSES, 5);
    network_add_resolutions(&fixture.network, OPTIONS(SIZE, SMALL), OPTIONS(SIZE, SMALL));
    const struct image_set calibration[] = {fixture.calibration,
                                            {&small, fixture.indices, CALIBRATION}};
    const struct image_set holdout[] = {
        fixture.holdout, {&small, fixture.indices + CALIBRATION, PICTURES - CALIBRATION}};
    assert_int_equal(scorer_create(&fixture.scorer, &fixture.network, ops_cpu(), fixture.pool,
                                   &fixture.options, fixture.weights, calibration, holdout),
                     STATUS_OK);
    for (int n = 0; n < SUBNETWORKS; n++) {
        struct subnetwork sub = draw(&fixture, n / 2);
        double score;
        int size = sub.option[RESOLUTION_CHOICE] = n % 2;
        score_all(&fixture, &sub, 1, &score);
        fixture.calibration = calibration[size];
        fixture.holdout = holdout[size];
        assert_true(score == extracted_accuracy(&fixture, &sub, false));
        assert_true(score == extracted_accuracy(&fixture, &sub, true));
    }
    pictures_release(&small);
    end(&fixture);
}

static void score_has_no_memory(void **state) {
    (void)state;
    struct fixture fixture;
    double first[SUBNETWORKS], again;
    begin(&fixture);
    for (int n = 0; n < SUBNETWORKS; n++) {
        struct subnetwork sub = draw(&fixture, n);
        score_all(&fixture, &sub, 1, &first[n]);
    }
    for (int n = SUBNETWORKS - 1; n >= 0; n--) {
        struct subnetwork sub = draw(&fixture, n);
        score_all(&fixture, &sub, 1, &again);
        assert_true(again == first[n]);
    }
    end(&fixture);
}

/* Also a part of them, as a search that goes on scores the rest of an iteration. */
static void scores_together_are_those_alone(void **state) {
    (void)state;
    struct fixture fixture;
    struct subnetwork subs[SUBNETWORKS];
    double together[SUBNETWORKS], rest[SUBNETWORKS], alone;
    begin(&fixture);
    for (int n = 0; n < SUBNETWORKS; n++)
        subs[n] = draw(&fixture, n);
    score_all(&fixture, subs, SUBNETWORKS, together);
    score_all(&fixture, subs + 5, SUBNETWORKS - 5, rest + 5);
    for (int n = 0; n < SUBNETWORKS; n++) {
        score_all(&fixture, &subs[n], 1, &alone);
        assert_true(alone == together[n]);
        assert_true(n < 5 || alone == rest[n]);
    }
    end(&fixture);
}

/* One picture again and again: the statistics do not depend on how often. */
static void calibration_is_a_mean(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct evaluator *evaluator = fixture.scorer.evaluator;
    size_t size = evaluator_statistics(evaluator)->size;
    int same[101] = {0};
    real *values[2];
    struct subnetwork sub = subnetwork_largest(&fixture.network);
    for (int i = 0; i < 2; i++) {
        const struct image_set set = {&fixture.pictures, same, i ? 101 : 50};
        values[i] = calloc(size + READ_SLACK, sizeof(real));
        assert_int_equal(evaluator_calibrate(evaluator, &sub, &set, values[i]), STATUS_OK);
    }
    /* sums over 50 and 51 equal terms, made in float */
    for (size_t i = 0; i < size; i++)
        assert_true(fabs((double)values[1][i] - (double)values[0][i]) <=
                    1e-4 * (1e-2 + fabs((double)values[0][i])));
    free(values[0]);
    free(values[1]);
    end(&fixture);
}

/* 101 images make batches of 50 and 51: the statistics are the weighted mean of theirs. */
static void calibration_weighs_images(void **state) {
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct evaluator *evaluator = fixture.scorer.evaluator;
    size_t size = evaluator_statistics(evaluator)->size;
    real *values[3];
    const struct image_set sets[3] = {{&fixture.pictures, fixture.indices, 101},
                                      {&fixture.pictures, fixture.indices, 50},
                                      {&fixture.pictures, fixture.indices + 50, 51}};
    struct subnetwork sub = subnetwork_largest(&fixture.network);
    for (int i = 0; i < 3; i++) {
        values[i] = calloc(size + READ_SLACK, sizeof(real));
        assert_int_equal(evaluator_calibrate(evaluator, &sub, &sets[i], values[i]), STATUS_OK);
    }
    for (size_t i = 0; i < size; i++) {
        double expected = (50 * (double)values[1][i] + 51 * (double)values[2][i]) / 101;
        /* one rounding to float */
        assert_true(fabs((double)values[0][i] - expected) <= 1e-6 * (1 + fabs(expected)));
    }
    for (int i = 0; i < 3; i++)
        free(values[i]);
    end(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_is_the_extractions_accuracy),
        cmocka_unit_test(scores_of_two_sizes_are_the_extractions),
        cmocka_unit_test(score_has_no_memory),
        cmocka_unit_test(scores_together_are_those_alone),
        cmocka_unit_test(calibration_is_a_mean),
        cmocka_unit_test(calibration_weighs_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
