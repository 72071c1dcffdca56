/* The CUDA backend's operations on the case list:
 *
 *   test_ops_cuda PLUGIN fp32|bf16
 *
 * where PLUGIN is the library for a card, or the same sources executed on the CPU. (A device works
 * on one slice: how a batch is cut into slices may change the last bit of a gradient.) */
#include "supernet/backend.h"
#include "support_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct ops *ops;

static void test_no_slot_is_empty(void **state) {
    (void)state;
    check_no_slot_is_empty(ops);
}

static void test_against_reference(void **state) {
    (void)state;
    check_against_reference(ops);
}

static void test_spare_values_change_no_bit(void **state) {
    (void)state;
    check_spare_values_change_no_bit(ops);
}

static void test_the_same_bits_twice(void **state) {
    (void)state;
    check_the_same_bits_twice(ops);
}

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_slot_is_empty),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_spare_values_change_no_bit),
        cmocka_unit_test(test_the_same_bits_twice),
    };
    if (count != 3 || (strcmp(arguments[2], "fp32") && strcmp(arguments[2], "bf16"))) {
        fprintf(stderr, "usage: %s PLUGIN fp32|bf16\n", arguments[0]);
        return 2;
    }
    enum precision precision = strcmp(arguments[2], "bf16") ? PRECISION_FP32 : PRECISION_BF16;
    if (backend_load(arguments[1], precision, &ops) != STATUS_OK) {
        fprintf(stderr, "error: %s\n", failure());
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
