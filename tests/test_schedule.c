/* The learning rate against its definition, at the places where a formula goes wrong. */
#include "training/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BATCHES = 10 };

static const struct training_config cosine = {
    .epochs = 8, .learning_rate = 0.4, .schedule = SCHEDULE_COSINE, .warmup_epochs = 2};

/* Rounding of a few double operations on values below 1. */
static const double TOLERANCE = 1e-12;

static void assert_near(double a, double b) {
    if (fabs(a - b) > TOLERANCE)
        fail_msg("%.17g is not %.17g", a, b);
}

static void warmup_rises_linearly(void **state) {
    (void)state;
    double step = schedule_rate(&cosine, BATCHES, 0);
    assert_true(step > 0);
    for (int s = 1; s < 20; s++)
        assert_near(schedule_rate(&cosine, BATCHES, s) - schedule_rate(&cosine, BATCHES, s - 1),
                    step);
    assert_near(schedule_rate(&cosine, BATCHES, 19) + step, 0.4);
}

static void cosine_falls_from_the_top_to_zero(void **state) {
    (void)state;
    assert_near(schedule_rate(&cosine, BATCHES, 20), 0.4);
    assert_near(schedule_rate(&cosine, BATCHES, 50), 0.2); /* half way */
    assert_near(schedule_rate(&cosine, BATCHES, 40) + schedule_rate(&cosine, BATCHES, 60), 0.4);
    for (int s = 21; s < 80; s++)
        assert_true(schedule_rate(&cosine, BATCHES, s) < schedule_rate(&cosine, BATCHES, s - 1));
    assert_true(schedule_rate(&cosine, BATCHES, 79) < 0.4 * 0.002);
}

static void steps_multiply(void **state) {
    (void)state;
    struct training_config config = {.epochs = 8,
                                     .learning_rate = 0.4,
                                     .schedule = SCHEDULE_STEP,
                                     .step_epochs = 2.5,
                                     .step_factor = 0.5};
    assert_near(schedule_rate(&config, BATCHES, 24), 0.4);
    assert_near(schedule_rate(&config, BATCHES, 25), 0.2);
    assert_near(schedule_rate(&config, BATCHES, 49), 0.2);
    assert_near(schedule_rate(&config, BATCHES, 75), 0.05);
}

static void counts_steps_of_part_epochs(void **state) {
    (void)state;
    struct training_config config = {.epochs = 2.5};
    assert_int_equal(schedule_steps(&config, BATCHES), 25);
    config.epochs = 0;
    assert_int_equal(schedule_steps(&config, BATCHES), 0);
}

static void average_forgets_the_beginning(void **state) {
    (void)state;
    struct training_config config = {.ema = 0.999};
    assert_near(schedule_average(&config, 0), 0.1);
    assert_near(schedule_average(&config, 90), 0.91);
    assert_near(schedule_average(&config, 1000000), 0.999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warmup_rises_linearly),
        cmocka_unit_test(cosine_falls_from_the_top_to_zero),
        cmocka_unit_test(steps_multiply),
        cmocka_unit_test(counts_steps_of_part_epochs),
        cmocka_unit_test(average_forgets_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
