#include "support_task.h"
#include "support/interrupt.h"
#include "support_folder.h"
#include "support_pictures.h"
#include "support_tiny.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void task_begin(struct task_fixture *fixture, bool supernet, enum optimiser optimiser) {
    *fixture =
        (struct task_fixture){.sampler = {.seed = 3},
                              .config = {.epochs = 2,
                                         .batch_images = TASK_BATCH,
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
    network_tiny(&fixture->network, TASK_SIZE, 1, TASK_CLASSES);
    pictures_synthetic(&fixture->pictures, TASK_PICTURES, TASK_SIZE, 1, TASK_CLASSES, 5);
    fixture->augmented = (struct augmented_pictures){&fixture->pictures, 1, true};
    for (int i = 0; i < TASK_PICTURES; i++)
        fixture->indices[i] = i;
    assert_int_equal(parameters_of(&fixture->parameters, &fixture->network), STATUS_OK);
    assert_int_equal(statistics_of(&fixture->statistics, &fixture->network), STATUS_OK);
    test_folder(program_invocation_short_name); /* programs run side by side */
    fixture->task = (struct training_task){
        .name = "test",
        .config = &fixture->config,
        .network = &fixture->network,
        .ops = ops_cpu(),
        .pass = {.epsilon = (real)1e-5, .mean = {(real)0.5}, .deviation = {(real)0.25}},
        .images = {.feed = augmented_feed(&fixture->augmented),
                   .indices = fixture->indices,
                   .count = TASK_PICTURES,
                   .seed = 7},
        .sampler = supernet ? &fixture->sampler : NULL,
        .groups = supernet ? 4 : 1,
        .norm_momentum = 0.1,
        .state_path = test_path("state.safetensors"),
        .hash = 42};
}

void task_end(struct task_fixture *fixture) {
    parameters_release(&fixture->parameters);
    parameters_release(&fixture->statistics);
    network_release(&fixture->network);
    pictures_release(&fixture->pictures);
}

static void begin_state(const struct task_fixture *fixture, struct training_state *state) {
    size_t statistics = fixture->task.sampler ? 0 : fixture->statistics.size;
    assert_int_equal(state_create(state, &fixture->config, fixture->parameters.size, statistics),
                     STATUS_OK);
    parameters_initialise(&fixture->parameters, 1, state->weights);
    if (state->running)
        parameters_initialise(&fixture->statistics, 1, state->running);
    state_begin(state);
}

enum status task_train(struct task_fixture *fixture, struct training_state *state, int threads) {
    assert_int_equal(pool_create(&fixture->task.pool, threads), STATUS_OK);
    begin_state(fixture, state);
    enum status status = train(&fixture->task, state);
    pool_release(fixture->task.pool);
    return status;
}

enum status task_train_step(struct task_fixture *fixture, struct training_state *state) {
    interrupt_request(true); /* before the first step: the loop leaves after it */
    enum status status = task_train(fixture, state, 1);
    interrupt_request(false);
    if (status == STATUS_INTERRUPTED)
        failure_clear();
    return status;
}

static void assert_vectors_equal(const real *a, const real *b, size_t count) {
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_memory_equal(a, b, count * sizeof(real));
}

void assert_states_equal(const struct training_state *a, const struct training_state *b) {
    assert_int_equal(a->step, b->step);
    assert_vectors_equal(a->weights, b->weights, a->parameters);
    assert_vectors_equal(a->velocity, b->velocity, a->parameters);
    assert_vectors_equal(a->square, b->square, a->parameters);
    assert_vectors_equal(a->average, b->average, a->parameters);
    assert_vectors_equal(a->running, b->running, a->statistics);
    assert_vectors_equal(a->average_running, b->average_running, a->statistics);
}
