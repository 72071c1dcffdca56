#include "support_ops.h"
#include "op_trial.h" /* before cmocka, which has a macro fail() */
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void check_no_slot_is_empty(const struct ops *ops) {
    const unsigned char *slot = (const unsigned char *)ops;
    static const unsigned char empty[sizeof(void *)] = {0};
    size_t first = offsetof(struct ops, convolution_prepared_size);
    for (size_t at = first; at < sizeof *ops; at += sizeof empty)
        if (memcmp(slot + at, empty, sizeof empty) == 0)
            fail_msg("slot %zu of the %s operations is empty", at / sizeof empty, ops->name);
}

static void check(const struct op_trial *tried, const struct op_trial *reference, const char *way) {
    struct op_difference worst = op_trial_compare(tried, reference);
    print_message("%5.1f %% of the limit: %s, %s%s%s\n", 100 * worst.share, tried->test->name, way,
                  worst.buffer ? ", " : "", worst.buffer ? worst.buffer : "");
    if (!(worst.share <= 1))
        fail_msg("%s: element %zu of %s is %.9g, not %.9g", tried->test->name, worst.index,
                 worst.buffer, worst.a, worst.b);
    assert_int_equal(op_guards_broken(&tried->memory), 0);
}

void check_against_reference(const struct ops *ops) {
    for (int i = 0; i < op_case_count; i++) {
        struct op_trial tried, reference;
        op_trial_create(&tried, &op_cases[i], ops, 7, NAN);
        op_trial_create_like(&reference, &tried, ops_reference());
        op_trial_forward(&tried);
        op_trial_forward(&reference);
        check(&tried, &reference, "forward");
        if (op_trial_has_backward(&op_cases[i])) {
            op_trial_copy(&reference, &tried);
            op_trial_backward(&tried);
            op_trial_backward(&reference);
            check(&tried, &reference, "backward");
        }
        op_trial_release(&tried);
        op_trial_release(&reference);
    }
}

static void run(struct op_trial *trial) {
    op_trial_forward(trial);
    if (op_trial_has_backward(trial->test))
        op_trial_backward(trial);
}

static void assert_same(const struct op_trial *a, const struct op_trial *b) {
    const char *buffer = op_trial_compare_bits(a, b);
    if (buffer)
        fail_msg("%s: %s differs", a->test->name, buffer);
}

void check_spare_values_change_no_bit(const struct ops *ops) {
    for (int i = 0; i < op_case_count; i++) {
        struct op_trial numbers, nans;
        if (op_cases[i].groups)
            continue;
        op_trial_create(&numbers, &op_cases[i], ops, 11, 1e4);
        op_trial_create(&nans, &op_cases[i], ops, 11, NAN);
        run(&numbers);
        run(&nans);
        assert_same(&numbers, &nans);
        assert_int_equal(op_guards_broken(&numbers.memory), 0);
        op_trial_release(&numbers);
        op_trial_release(&nans);
    }
}

void check_the_same_bits_twice(const struct ops *ops) {
    for (int i = 0; i < op_case_count; i++) {
        struct op_trial once, again;
        if (op_cases[i].groups)
            continue;
        op_trial_create(&once, &op_cases[i], ops, 19, NAN);
        op_trial_create(&again, &op_cases[i], ops, 19, NAN);
        run(&once);
        run(&again);
        assert_same(&once, &again);
        op_trial_release(&once);
        op_trial_release(&again);
    }
}

void check_slices_do_not_matter(const struct ops *ops) {
    for (int i = 0; i < op_case_count; i++) {
        const struct op_case *test = &op_cases[i];
        struct op_trial whole, cut;
        if (test->kind >= OP_ADD || (test->kind == OP_BATCH_NORM && test->output_norm == SHARED))
            continue;
        op_trial_create(&whole, test, ops, 13, NAN);
        op_trial_create(&cut, test, ops, 13, NAN);
        run(&whole);
        for (int g = 0; g < cut.groups; g++) { /* group 0 has two segments */
            int first = g > 0 ? g + 1 : 0;
            cut.slice.segments = cut.segments + first;
            cut.slice.device_segments = cut.device_segments + first;
            cut.slice.count = g > 0 ? 1 : 2;
            run(&cut);
        }
        assert_same(&whole, &cut);
        op_trial_release(&whole);
        op_trial_release(&cut);
    }
}
