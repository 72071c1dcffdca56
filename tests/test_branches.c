/* Sub-networks that share the layers that they begin with give the bits that each gives alone. */
#include "ops.h"
#include "support_branches.h"
#include "support_pass.h"
#include "support_tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void branches_have_the_bits_of_one_alone(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        struct network network;
        struct pool *pool;
        assert_int_equal(pool_create(&pool, threads), STATUS_OK);
        pass_network(&network);
        branches_must_agree(&network, ops_cpu(), pool, 0, true);
        network_release(&network);
        network_tiny(&network, PASS_HEIGHT, PASS_CHANNELS, PASS_CLASSES);
        network.width = PASS_WIDTH;
        branches_must_agree(&network, ops_cpu(), pool, 0, true);
        network_release(&network);
        pool_release(pool);
    }
}

static void branches_of_each_size_have_them(void **state) {
    (void)state;
    struct network network;
    pass_network_of_sizes(&network);
    for (int resolution = 0; resolution < network_resolutions(&network); resolution++)
        branches_must_agree(&network, ops_cpu(), NULL, resolution, true);
    network_release(&network);
}

static void refused(const struct network *network, struct pass_options options) {
    struct pass *pass;
    options.images = PASS_IMAGES;
    assert_int_equal(pass_create(&pass, network, ops_cpu(), NULL, &options), STATUS_USAGE);
}

static void branches_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct network network;
    pass_network(&network);
    refused(&network, (struct pass_options){.groups = 2, .branches = 2});
    refused(&network, (struct pass_options){.groups = 1, .branches = 2, .backward = true});
    refused(&network, (struct pass_options){.groups = 1, .branches = MAX_BRANCHES + 1});
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_have_the_bits_of_one_alone),
        cmocka_unit_test(branches_of_each_size_have_them),
        cmocka_unit_test(branches_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
