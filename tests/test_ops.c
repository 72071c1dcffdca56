/* The CPU's operations on the case list. */
#include "reference.h"
#include "support_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_no_slot_is_empty(void **state) {
    (void)state;
    check_no_slot_is_empty(ops_cpu());
    check_no_slot_is_empty(ops_reference());
}

static void test_against_reference(void **state) {
    (void)state;
    check_against_reference(ops_cpu());
}

static void test_spare_values_change_no_bit(void **state) {
    (void)state;
    check_spare_values_change_no_bit(ops_cpu());
}

static void test_slices_do_not_matter(void **state) {
    (void)state;
    check_slices_do_not_matter(ops_cpu());
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
