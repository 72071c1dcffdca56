/* A training cut after every step, or run by another number of threads, ends with the same bits as
 * an undisturbed one, for a super-network and for a single network; and it learns. */
#include "support/interrupt.h"
#include "support_folder.h"
#include "support_pictures.h"
#include "support_tiny.h"
#include "training/checkpoint.h"
#include "training/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 96, SIZE = 8, CLASSES = 4, BATCH = 16 };

struct fixture {
    struct network network;
    struct pictures pictures;
    int indices[PICTURES];
    struct sampler sampler;
    struct training_config config;
    struct training_task task;
    size_t parameters, statistics;
};

static void measure(struct fixture *fixture, bool supernet) {
    struct parameters list;
    assert_int_equal(parameters_of(&list, &fixture->network), STATUS_OK);
    fixture->parameters = list.size;
    parameters_release(&list);
    assert_int_equal(statistics_of(&list, &fixture->network), STATUS_OK);
    fixture->statistics = supernet ? 0 : list.size;
    parameters_release(&list);
}

static void begin(struct fixture *fixture, bool supernet, enum optimiser optimiser) {
    *fixture = (struct fixture){.sampler = {.seed = 3},
                                .config = {.epochs = 2,
                                           .batch_images = BATCH,
                                           .optimiser = optimiser,
                                           .learning_rate = optimiser == OPTIMISER_SGD ? 0.1 : 0.01,
                                           .momentum = 0.9,
                                           .nesterov = true,
                                           .weight_decay = 1e-4,
                                           .alpha = 0.9,
                                           .epsilon = 1e-3,
                                           .label_smoothing = 0.1,
                                           .ema = 0.99,
                                           .save_seconds = 1e9}};
    network_tiny(&fixture->network, SIZE, 1, CLASSES);
    pictures_synthetic(&fixture->pictures, PICTURES, SIZE, 1, CLASSES, 5);
    for (int i = 0; i < PICTURES; i++)
        fixture->indices[i] = i;
    measure(fixture, supernet);
    test_folder("training");
    fixture->task = (struct training_task){
        .name = "test",
        .config = &fixture->config,
        .network = &fixture->network,
        .ops = ops_cpu(),
        .pass = {.epsilon = (real)1e-5, .mean = {(real)0.5}, .deviation = {(real)0.25}},
        .images = {.pictures = &fixture->pictures,
                   .indices = fixture->indices,
                   .count = PICTURES,
                   .seed = 7,
                   .crop_padding = 1,
                   .flip = true},
        .sampler = supernet ? &fixture->sampler : NULL,
        .groups = supernet ? 4 : 1,
        .norm_momentum = 0.1,
        .state_path = test_path("state.safetensors"),
        .hash = 42};
}

static void end(struct fixture *fixture) {
    network_release(&fixture->network);
    pictures_release(&fixture->pictures);
}

/* A state as a process finds it that starts (again). */
static void begin_state(const struct fixture *fixture, struct training_state *state) {
    struct parameters list;
    assert_int_equal(
        state_create(state, &fixture->config, fixture->parameters, fixture->statistics), STATUS_OK);
    assert_int_equal(parameters_of(&list, &fixture->network), STATUS_OK);
    parameters_initialise(&list, 1, state->weights);
    parameters_release(&list);
    state_begin(state);
}

static enum status train_once(struct fixture *fixture, struct training_state *state, int threads) {
    assert_int_equal(pool_create(&fixture->task.pool, threads), STATUS_OK);
    begin_state(fixture, state);
    enum status status = train(&fixture->task, state);
    pool_release(fixture->task.pool);
    return status;
}

static void assert_vectors_equal(const real *a, const real *b, size_t count) {
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_memory_equal(a, b, count * sizeof(real));
}

static void assert_states_equal(const struct training_state *a, const struct training_state *b) {
    assert_int_equal(a->step, b->step);
    assert_vectors_equal(a->weights, b->weights, a->parameters);
    assert_vectors_equal(a->velocity, b->velocity, a->parameters);
    assert_vectors_equal(a->square, b->square, a->parameters);
    assert_vectors_equal(a->average, b->average, a->parameters);
    assert_vectors_equal(a->running, b->running, a->statistics);
    assert_vectors_equal(a->average_running, b->average_running, a->statistics);
}

/* With the interrupt set from the start, each call trains one step, saves and leaves. */
static void cut_after_every_step(bool supernet, enum optimiser optimiser) {
    struct fixture fixture;
    struct training_state whole, cut = {0};
    begin(&fixture, supernet, optimiser);
    assert_int_equal(train_once(&fixture, &whole, 2), STATUS_OK);
    int calls = 0;
    interrupt_request(true);
    for (enum status status = STATUS_INTERRUPTED; status == STATUS_INTERRUPTED; calls++) {
        state_release(&cut);
        failure_clear();
        status = train_once(&fixture, &cut, calls % 2 + 1);
    }
    interrupt_request(false);
    assert_int_equal(calls, 1 + (int)whole.step);
    assert_int_equal(whole.step, 2 * PICTURES / BATCH);
    assert_states_equal(&whole, &cut);
    state_release(&whole);
    state_release(&cut);
    end(&fixture);
}

static void supernet_resumes(void **state) {
    (void)state;
    cut_after_every_step(true, OPTIMISER_SGD);
}

static void network_resumes(void **state) {
    (void)state;
    cut_after_every_step(false, OPTIMISER_RMSPROP);
}

static void threads_change_no_bit(void **state) {
    (void)state;
    struct fixture fixture;
    struct training_state one, two;
    begin(&fixture, true, OPTIMISER_SGD);
    assert_int_equal(train_once(&fixture, &one, 1), STATUS_OK);
    assert_int_equal(train_once(&fixture, &two, 3), STATUS_OK);
    assert_states_equal(&one, &two);
    state_release(&one);
    state_release(&two);
    end(&fixture);
}

/* The newest state torn: the one before is taken, and the result is the same. */
static void torn_state_falls_back(void **state) {
    (void)state;
    struct fixture fixture;
    struct training_state whole, cut;
    begin(&fixture, false, OPTIMISER_SGD);
    assert_int_equal(train_once(&fixture, &whole, 1), STATUS_OK);
    interrupt_request(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(train_once(&fixture, &cut, 1), STATUS_INTERRUPTED);
        assert_int_equal(cut.step, i + 1);
        state_release(&cut);
        failure_clear();
    }
    interrupt_request(false);
    test_write("state.safetensors", "torn", 4);
    assert_int_equal(train_once(&fixture, &cut, 1), STATUS_OK);
    assert_states_equal(&whole, &cut);
    state_release(&whole);
    state_release(&cut);
    end(&fixture);
}

static void state_of_other_keys_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    struct training_state cut;
    begin(&fixture, true, OPTIMISER_SGD);
    interrupt_request(true);
    assert_int_equal(train_once(&fixture, &cut, 1), STATUS_INTERRUPTED);
    interrupt_request(false);
    state_release(&cut);
    failure_clear();
    fixture.task.hash++;
    assert_int_equal(train_once(&fixture, &cut, 1), STATUS_USAGE);
    assert_non_null(strstr(failure(), "other keys"));
    failure_clear();
    state_release(&cut);
    end(&fixture);
}

static double accuracy(struct fixture *fixture, const struct training_state *state) {
    struct evaluator *evaluator;
    struct evaluation evaluation;
    struct subnetwork largest = subnetwork_largest(&fixture->network);
    struct image_set images = {.pictures = &fixture->pictures, .count = PICTURES};
    struct pool *pool;
    assert_int_equal(pool_create(&pool, 1), STATUS_OK);
    assert_int_equal(
        evaluator_create(&evaluator, &fixture->network, ops_cpu(), pool, &fixture->task.pass),
        STATUS_OK);
    assert_int_equal(evaluator_weights(evaluator, state_result(state)), STATUS_OK);
    assert_int_equal(
        evaluator_run(evaluator, &largest, state_result_statistics(state), &images, &evaluation),
        STATUS_OK);
    evaluator_release(evaluator);
    pool_release(pool);
    return evaluation.accuracy;
}

/* Four classes: 25 % by chance. What is evaluated are averages of weights and statistics. */
static void a_network_learns(void **state) {
    (void)state;
    struct fixture fixture;
    struct training_state trained;
    begin(&fixture, false, OPTIMISER_SGD);
    fixture.config.epochs = 12;
    assert_int_equal(train_once(&fixture, &trained, 2), STATUS_OK);
    assert_true(accuracy(&fixture, &trained) > 0.8);
    state_release(&trained);
    end(&fixture);
}

static void a_loss_that_is_not_finite_stops(void **state) {
    (void)state;
    struct fixture fixture;
    struct training_state trained;
    begin(&fixture, true, OPTIMISER_SGD);
    fixture.config.learning_rate = 1e30;
    assert_int_equal(train_once(&fixture, &trained, 1), STATUS_FAILED);
    assert_non_null(strstr(failure(), "not finite"));
    failure_clear();
    state_release(&trained);
    end(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(supernet_resumes),
        cmocka_unit_test(network_resumes),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(torn_state_falls_back),
        cmocka_unit_test(state_of_other_keys_is_refused),
        cmocka_unit_test(a_network_learns),
        cmocka_unit_test(a_loss_that_is_not_finite_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
