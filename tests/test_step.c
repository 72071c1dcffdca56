/* What one training step does to the state, against its definition. */
#include "support_folder.h"
#include "support_network.h"
#include "support_pictures.h"
#include "support_task.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sums of two products, rounded to float. */
static const double TOLERANCE = 1e-6;

static void assert_mix(const real *mixed, double keep, const real *old, const real *new_values,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        double expected = keep * (double)old[i] + (1 - keep) * (double)new_values[i];
        assert_true(fabs((double)mixed[i] - expected) <= TOLERANCE * (1 + fabs(expected)));
    }
}

/* running = (1 - m) running + m batch: with m = 1 the state is the batch itself. */
static void running_statistics_follow_the_batch(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state batch, mixed;
    task_begin(&fixture, false, OPTIMISER_SGD);
    fixture.task.norm_momentum = 1;
    assert_int_equal(task_train_step(&fixture, &batch), STATUS_INTERRUPTED);
    task_end(&fixture);
    task_begin(&fixture, false, OPTIMISER_SGD);
    fixture.task.norm_momentum = 0.25;
    assert_int_equal(task_train_step(&fixture, &mixed), STATUS_INTERRUPTED);
    real *first = calloc(fixture.statistics.size, sizeof(real));
    parameters_initialise(&fixture.statistics, 1, first);
    assert_mix(mixed.running, 0.75, first, batch.running, fixture.statistics.size);
    free(first);
    state_release(&batch);
    state_release(&mixed);
    task_end(&fixture);
}

/* The first average keeps 1 / 10, see schedule_average(). */
static void averages_follow_weights_and_statistics(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state trained;
    task_begin(&fixture, false, OPTIMISER_SGD);
    assert_int_equal(task_train_step(&fixture, &trained), STATUS_INTERRUPTED);
    size_t size = fixture.parameters.size + fixture.statistics.size;
    real *first = calloc(size, sizeof(real));
    parameters_initialise(&fixture.parameters, 1, first);
    assert_mix(trained.average, 0.1, first, trained.weights, fixture.parameters.size);
    parameters_initialise(&fixture.statistics, 1, first);
    assert_mix(trained.average_running, 0.1, first, trained.running, fixture.statistics.size);
    free(first);
    state_release(&trained);
    task_end(&fixture);
}

static void only_weights_decay(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state plain, decayed;
    task_begin(&fixture, false, OPTIMISER_SGD);
    fixture.config.weight_decay = 0;
    assert_int_equal(task_train_step(&fixture, &plain), STATUS_INTERRUPTED);
    task_end(&fixture);
    task_begin(&fixture, false, OPTIMISER_SGD);
    fixture.config.weight_decay = 0.1;
    assert_int_equal(task_train_step(&fixture, &decayed), STATUS_INTERRUPTED);
    for (int i = 0; i < fixture.parameters.count; i++) {
        const struct parameter *parameter = &fixture.parameters.list[i];
        int differs = memcmp(plain.weights + parameter->offset, decayed.weights + parameter->offset,
                             parameter->count * sizeof(real)) != 0;
        assert_int_equal(differs, parameter->role == ROLE_WEIGHT);
    }
    state_release(&plain);
    state_release(&decayed);
    task_end(&fixture);
}

/* Block "one" has three widths and may be absent: of every four groups in a row exactly one drops
 * it. With one group a step, no momentum and no decay, its weights stand still in that step. This
 * holds only if group numbers go on from step to step. */
static void decks_are_dealt_across_steps(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state trained;
    task_begin(&fixture, true, OPTIMISER_SGD);
    fixture.task.groups = 1;
    fixture.config.momentum = fixture.config.weight_decay = 0;
    fixture.config.nesterov = false;
    const struct parameter *weight =
        parameters_find(&fixture.parameters, 1, PART_DEPTHWISE, ROLE_WEIGHT);
    real *before = calloc(fixture.parameters.size, sizeof(real));
    parameters_initialise(&fixture.parameters, 1, before);
    int still = 0;
    for (int step = 0; step < 8; step++) {
        assert_int_equal(task_train_step(&fixture, &trained), STATUS_INTERRUPTED);
        still += memcmp(before + weight->offset, trained.weights + weight->offset,
                        weight->count * sizeof(real)) == 0;
        memcpy(before, trained.weights, fixture.parameters.size * sizeof(real));
        state_release(&trained);
        if (step == 3)
            assert_int_equal(still, 1);
    }
    assert_int_equal(still, 2);
    free(before);
    task_end(&fixture);
}

/* Steps over pictures of two sizes, beside steps of networks and pictures that have the drawn
 * size only. All widths are pinned: only the sizes are drawn. */
static void steps_of_two_sizes_equal_steps_of_each(void **state) {
    (void)state;
    enum { SMALL = TASK_SIZE / 2, STEPS = 6 };
    struct task_fixture both, one;
    struct training_state trained, expected;
    struct pictures small;
    int seen[2] = {0};
    task_begin(&one, true, OPTIMISER_SGD);
    task_begin(&both, true, OPTIMISER_SGD);
    one.task.state_path = test_path("other.safetensors");
    one.sampler.batch_groups = both.sampler.batch_groups = both.task.groups;
    pictures_synthetic(&small, TASK_PICTURES, SMALL, 1, TASK_CLASSES, 5);
    struct augmented_pictures augmented = {&small, 1, true};
    const struct picture_feed feeds[] = {one.task.images.feed, augmented_feed(&augmented)};
    for (int i = 0; i < one.network.choice_count; i++)
        one.network.choices[i].count = both.network.choices[i].count = 1;
    network_add_resolutions(&both.network, OPTIONS(TASK_SIZE, SMALL), OPTIONS(TASK_SIZE, SMALL));
    both.task.feeds = feeds;
    for (uint64_t step = 0; step < STEPS; step++) {
        int size = sampler_resolution(&both.sampler, &both.network, step, 0);
        seen[size]++;
        one.task.images.feed = feeds[size];
        one.network.height = one.network.width = size ? SMALL : TASK_SIZE;
        assert_int_equal(task_train_step(&both, &trained), STATUS_INTERRUPTED);
        assert_int_equal(task_train_step(&one, &expected), STATUS_INTERRUPTED);
        assert_states_equal(&trained, &expected);
        state_release(&trained);
        state_release(&expected);
    }
    assert_true(seen[0] == STEPS / 2 && seen[1] == STEPS / 2);
    pictures_release(&small);
    task_end(&both);
    task_end(&one);
}

/* A teacher that is followed alone: the labels no longer matter. */
static void a_teacher_replaces_the_labels(void **state) {
    (void)state;
    struct task_fixture fixture;
    struct training_state taught[2];
    for (int i = 0; i < 2; i++) {
        task_begin(&fixture, false, OPTIMISER_SGD);
        struct pass_options options = fixture.task.pass;
        struct image_set calibration = {.pictures = &fixture.pictures, .count = TASK_PICTURES};
        real *weights = calloc(fixture.parameters.size + READ_SLACK, sizeof(real));
        struct pool *pool;
        parameters_initialise(&fixture.parameters, 99, weights);
        options.images = TASK_BATCH;
        assert_int_equal(pool_create(&pool, 1), STATUS_OK);
        assert_int_equal(teacher_create(&fixture.task.teacher, &fixture.network, ops_cpu(), pool,
                                        &options, weights, &calibration, 0),
                         STATUS_OK);
        fixture.task.teacher_weight = 1;
        fixture.task.temperature = 2;
        if (i == 1)
            memset(fixture.pictures.labels, 0, TASK_PICTURES);
        assert_int_equal(task_train_step(&fixture, &taught[i]), STATUS_INTERRUPTED);
        teacher_release(fixture.task.teacher);
        pool_release(pool);
        free(weights);
        task_end(&fixture);
    }
    assert_memory_equal(taught[0].weights, taught[1].weights, taught[0].parameters * sizeof(real));
    state_release(&taught[0]);
    state_release(&taught[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_statistics_follow_the_batch),
        cmocka_unit_test(averages_follow_weights_and_statistics),
        cmocka_unit_test(only_weights_decay),
        cmocka_unit_test(decks_are_dealt_across_steps),
        cmocka_unit_test(steps_of_two_sizes_equal_steps_of_each),
        cmocka_unit_test(a_teacher_replaces_the_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
