/* A training cut after every step, or run by another number of threads, ends with the same bits as
 * an undisturbed one, for a super-network and for a single network; and it learns. */
#include "support_folder.h"
#include "support_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void cut_after_every_step(bool supernet, enum optimiser optimiser) {
    struct task_fixture fixture;
    struct training_state whole, cut = {0};
    task_begin(&fixture, supernet, optimiser);
    assert_int_equal(task_train(&fixture, &whole, 2), STATUS_OK);
    int calls = 0;
    for (enum status status = STATUS_INTERRUPTED; status == STATUS_INTERRUPTED; calls++) {
        state_release(&cut);
        status = task_train_step(&fixture, &cut);
    }
    assert_int_equal(calls, 1 + (int)whole.step);
    assert_int_equal(whole.step, 2 * TASK_PICTURES / TASK_BATCH);
    assert_states_equal(&whole, &cut);
    state_release(&whole);
    state_release(&cut);
    task_end(&fixture);
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
    struct task_fixture fixture;
    struct training_state one, two;
    task_begin(&fixture, true, OPTIMISER_SGD);
    assert_int_equal(task_train(&fixture, &one, 1), STATUS_OK);
    assert_int_equal(task_train(&fixture, &two, 3), STATUS_OK);
    assert_states_equal(&one, &two);
    state_release(&one);
    state_release(&two);
    task_end(&fixture);
}

/* The newest state torn: the one before is taken, and the result is the same. */
static void torn_state_falls_back(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state whole, cut;
    task_begin(&fixture, false, OPTIMISER_SGD);
    assert_int_equal(task_train(&fixture, &whole, 1), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(task_train_step(&fixture, &cut), STATUS_INTERRUPTED);
        assert_int_equal(cut.step, i + 1);
        state_release(&cut);
    }
    test_write("state.safetensors", "torn", 4);
    assert_int_equal(task_train(&fixture, &cut, 1), STATUS_OK);
    assert_states_equal(&whole, &cut);
    state_release(&whole);
    state_release(&cut);
    task_end(&fixture);
}

static void state_of_other_keys_is_refused(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state cut;
    task_begin(&fixture, true, OPTIMISER_SGD);
    assert_int_equal(task_train_step(&fixture, &cut), STATUS_INTERRUPTED);
    state_release(&cut);
    fixture.task.hash++;
    assert_int_equal(task_train(&fixture, &cut, 1), STATUS_USAGE);
    assert_non_null(strstr(failure(), "other keys"));
    failure_clear();
    state_release(&cut);
    task_end(&fixture);
}

static double accuracy(struct task_fixture *fixture, const struct training_state *state) {
    struct evaluator *evaluator;
    struct evaluation evaluation;
    struct subnetwork largest = subnetwork_largest(&fixture->network);
    struct image_set images = {.pictures = &fixture->pictures, .count = TASK_PICTURES};
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
    struct task_fixture fixture;
    struct training_state trained;
    task_begin(&fixture, false, OPTIMISER_SGD);
    fixture.config.epochs = 12;
    assert_int_equal(task_train(&fixture, &trained, 2), STATUS_OK);
    assert_true(accuracy(&fixture, &trained) > 0.8);
    state_release(&trained);
    task_end(&fixture);
}

static void a_loss_that_is_not_finite_stops(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state trained;
    task_begin(&fixture, true, OPTIMISER_SGD);
    fixture.config.learning_rate = 1e30;
    assert_int_equal(task_train(&fixture, &trained, 1), STATUS_FAILED);
    assert_non_null(strstr(failure(), "not finite"));
    failure_clear();
    state_release(&trained);
    task_end(&fixture);
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
