/* The operations of a backend against the reference, on the whole case list, and what must not
 * matter to them. */
#include "op_trial.h" /* before cmocka, which has a macro fail() */
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_no_slot_is_empty(void **state) {
    (void)state;
    const struct ops *tables[] = {ops_cpu(), ops_reference()};
    for (int t = 0; t < 2; t++) {
        const unsigned char *slot = (const unsigned char *)tables[t];
        static const unsigned char empty[sizeof(void *)] = {0};
        for (size_t at = 0; at < sizeof(struct ops); at += sizeof empty)
            if (memcmp(slot + at, empty, sizeof empty) == 0)
                fail_msg("slot %zu of the %s operations is empty", at / sizeof empty,
                         tables[t]->name);
    }
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

/* Everything that counts: outputs, gradients, partial sums, and that inputs, dropped parts and
 * other segments' memory stay as they were. */
static void test_against_reference(void **state) {
    (void)state;
    for (int i = 0; i < op_case_count; i++) {
        struct op_trial tried, reference;
        op_trial_create(&tried, &op_cases[i], ops_cpu(), 7, NAN);
        op_trial_create(&reference, &op_cases[i], ops_reference(), 7, NAN);
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

/* Spare lanes, dropped channels and weights, scratch: NaN there, or numbers. */
static void test_spare_values_change_no_bit(void **state) {
    (void)state;
    for (int i = 0; i < op_case_count; i++) {
        struct op_trial numbers, nans;
        op_trial_create(&numbers, &op_cases[i], ops_cpu(), 11, 1e4);
        op_trial_create(&nans, &op_cases[i], ops_cpu(), 11, NAN);
        run(&numbers);
        run(&nans);
        assert_same(&numbers, &nans);
        op_trial_release(&numbers);
        op_trial_release(&nans);
    }
}

/* One slice of all segments, or a slice for each group: the same bits. */
static void test_slices_do_not_matter(void **state) {
    (void)state;
    static const int first[CASE_GROUPS + 1] = {0, 2, 3, 4, 5};
    for (int i = 0; i < op_case_count; i++) {
        const struct op_case *test = &op_cases[i];
        struct op_trial whole, cut;
        if (test->kind >= OP_ADD || (test->kind == OP_BATCH_NORM && test->output_norm == SHARED))
            continue;
        op_trial_create(&whole, test, ops_cpu(), 13, NAN);
        op_trial_create(&cut, test, ops_cpu(), 13, NAN);
        run(&whole);
        for (int g = 0; g < CASE_GROUPS; g++) {
            cut.slice.segments = cut.segments + first[g];
            cut.slice.count = first[g + 1] - first[g];
            run(&cut);
        }
        assert_same(&whole, &cut);
        op_trial_release(&whole);
        op_trial_release(&cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_slot_is_empty),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_spare_values_change_no_bit),
        cmocka_unit_test(test_slices_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
