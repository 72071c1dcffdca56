/* Pictures of several sizes as a choice of the search: what a sub-network of one costs and is, how
 * it shrinks, and which one a batch has. */
#include "network/subnetwork_json.h"
#include "search/shrink.h"
#include "supernet/sampler.h"
#include "support_network.h"
#include "support_pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZES = 3, GROUPS = 4 };
static struct subnetwork draw(const struct network *network, int resolution, uint32_t number) {
    struct subnetwork sub = pass_draw(network, number);
    sub.option[RESOLUTION_CHOICE] = (short)resolution;
    return sub;
}

/* By hand: a 3x3 stem of 4 at stride 2 on one channel, a 1x1 convolution of 6, 2 classes. */
static void multiplications_follow_the_pictures(void **state) {
    (void)state;
    struct network network;
    network_begin(&network, 8, 6, 1, 2);
    network_add(
        &network,
        (struct layer){.name = "stem", .kind = LAYER_CONVOLUTION, .norm = true, .stride = 2},
        (struct dimensions){.width = OPTIONS(4), .kernel = OPTIONS(3)});
    network_add(&network, (struct layer){.name = "head", .kind = LAYER_CONVOLUTION, .norm = true},
                (struct dimensions){.width = OPTIONS(6), .kernel = OPTIONS(1)});
    network_add_pool(&network);
    network_add_classifier(&network);
    network_add_resolutions(&network, OPTIONS(8, 5), OPTIONS(6, 4));
    assert_int_equal(network_check(&network), STATUS_OK);
    struct subnetwork largest = subnetwork_largest(&network);
    struct subnetwork smallest = subnetwork_smallest(&network);
    struct cost large = network_cost(&network, &largest), small = network_cost(&network, &smallest);
    assert_true(large.macs == 4 * 3 * (9 * 4 + 4 * 6) + 6 * 2);
    assert_true(small.macs == 3 * 2 * (9 * 4 + 4 * 6) + 6 * 2);
    assert_true(large.parameters == small.parameters);
    network_release(&network);
}

static void an_extraction_has_one_size(void **state) {
    (void)state;
    struct network network, alone;
    pass_network_of_sizes(&network);
    for (int resolution = 0; resolution < SIZES; resolution++) {
        struct subnetwork sub = draw(&network, resolution, 3), again;
        struct subnetwork whole = subnetwork_largest(&network);
        assert_int_equal(network_extract(&alone, &network, &sub), STATUS_OK);
        assert_int_equal(network_check(&alone), STATUS_OK);
        assert_int_equal(alone.height, pass_heights[resolution]);
        assert_int_equal(alone.width, pass_widths[resolution]);
        assert_int_equal(network_resolutions(&alone), 1);
        assert_int_equal(network_find_resolution(&network, &alone), resolution);
        assert_true(network_cost(&alone, &whole).macs == network_cost(&network, &sub).macs);
        json_t *json = subnetwork_to_json(&network, &sub);
        assert_int_equal(json_integer_value(json_object_get(json, "resolution")),
                         pass_heights[resolution]);
        assert_int_equal(subnetwork_from_json(&network, json, &again), STATUS_OK);
        sub = subnetwork_canonical(&network, sub);
        assert_true(subnetwork_equal(&sub, &again));
        json_decref(json);
        network_release(&alone);
    }
    pass_network_of_size(&alone, 1);
    alone.width++;
    assert_int_equal(network_find_resolution(&network, &alone), -1);
    network_release(&alone);
    network_release(&network);
}

static void sizes_that_do_not_fall_are_refused(void **state) {
    (void)state;
    static const struct {
        int heights[3], widths[3];
    } wrong[] = {{{9, 9}, {7, 5}}, {{9, 6}, {7, 7}}, {{9, 6}, {7, 8}}, {{8, 6}, {7, 5}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct network network;
        pass_network(&network);
        network_add_resolutions(&network, wrong[i].heights, wrong[i].widths);
        assert_int_equal(network_check(&network), STATUS_USAGE);
        network_release(&network);
    }
}

static void the_pictures_shrink_as_a_layer_does(void **state) {
    (void)state;
    struct network network;
    struct layer_list list;
    pass_network_of_sizes(&network);
    for (int resolution = 0; resolution < SIZES; resolution++) {
        struct subnetwork sub = subnetwork_largest(&network);
        sub.option[RESOLUTION_CHOICE] = (short)resolution;
        layers_to_shrink(&network, &sub, &list);
        assert_int_equal(list.layers[list.count - 1] == LAYER_PICTURES, resolution < SIZES - 1);
    }
    network_release(&network);
}

static void a_batch_has_one_resolution(void **state) {
    (void)state;
    struct network network;
    pass_network_of_sizes(&network);
    const struct sampler sampler = {.seed = 3, .warmup_epochs = 2, .batch_groups = GROUPS};
    int orders_differ = 0, last_first = -1;
    for (uint64_t round = 0; round < 40; round++) {
        int seen[SIZES] = {0};
        for (uint64_t card = 0; card < SIZES; card++) {
            uint64_t batch = round * SIZES + card;
            int resolution = sampler_resolution(&sampler, &network, batch, 2);
            for (uint64_t group = 0; group < GROUPS; group++) {
                struct subnetwork sub = sampler_draw(&sampler, &network, batch * GROUPS + group, 2);
                assert_int_equal(sub.option[RESOLUTION_CHOICE], resolution);
            }
            assert_int_equal(sampler_resolution(&sampler, &network, batch, 0), 0);
            seen[resolution]++;
            if (card == 0) {
                orders_differ += last_first >= 0 && resolution != last_first;
                last_first = resolution;
            }
        }
        for (int resolution = 0; resolution < SIZES; resolution++)
            assert_int_equal(seen[resolution], 1);
    }
    assert_true(orders_differ > 5);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplications_follow_the_pictures),
        cmocka_unit_test(an_extraction_has_one_size),
        cmocka_unit_test(sizes_that_do_not_fall_are_refused),
        cmocka_unit_test(the_pictures_shrink_as_a_layer_does),
        cmocka_unit_test(a_batch_has_one_resolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
