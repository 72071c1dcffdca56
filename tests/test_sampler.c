#include "supernet/sampler.h"
#include "support_network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A block with `widths` widths that may be absent, or not. */
static void toy(struct network *network, bool may_be_absent) {
    network_begin(network, 8, 8, 1, 4);
    network_add(network, (struct layer){.name = "stem", .kind = LAYER_CONVOLUTION, .norm = true},
                (struct dimensions){.width = OPTIONS(16, 14, 12, 10, 8, 6), .kernel = OPTIONS(3)});
    network_add(network, (struct layer){.name = "block", .kind = LAYER_BLOCK, .bypass = 16},
                (struct dimensions){.width = OPTIONS(16, 12, 8, 4),
                                    .expand = OPTIONS(48, 40, 32, 24, 16, 8),
                                    .kernel = OPTIONS(7, 5, 3),
                                    .may_be_absent = may_be_absent});
    network_add_pool(network);
    network_add_classifier(network);
}

static void every_option_once_per_round(void **state) {
    (void)state;
    struct network network;
    toy(&network, false);
    struct sampler sampler = {.seed = 3, .kind = DRAW_BALANCED};
    for (int i = 0; i < network.choice_count; i++) {
        int options = network.choices[i].count, orders_differ = 0;
        short last_first = -1;
        for (int round = 0; round < 40; round++) {
            int seen[MAX_OPTIONS] = {0};
            for (int card = 0; card < options; card++) {
                struct subnetwork sub =
                    sampler_draw(&sampler, &network, (uint64_t)round * options + card, 0);
                seen[sub.option[i]]++;
                if (card == 0) {
                    orders_differ += last_first >= 0 && sub.option[i] != last_first;
                    last_first = sub.option[i];
                }
            }
            for (int option = 0; option < options; option++)
                assert_int_equal(seen[option], 1);
        }
        if (options > 1)
            assert_true(orders_differ > 5); /* each round is shuffled anew */
    }
    network_release(&network);
}

static void draws_depend_on_group_number_and_seed_only(void **state) {
    (void)state;
    struct network network;
    toy(&network, true);
    struct sampler sampler = {.seed = 3, .kind = DRAW_BALANCED}, other = {.seed = 4};
    struct subnetwork forward[64];
    int differ = 0;
    for (int group = 0; group < 64; group++)
        forward[group] = sampler_draw(&sampler, &network, group, 7);
    for (int group = 63; group >= 0; group--) {
        struct subnetwork again = sampler_draw(&sampler, &network, group, 7);
        struct subnetwork seeded = sampler_draw(&other, &network, group, 7);
        assert_true(subnetwork_equal(&forward[group], &again));
        differ += !subnetwork_equal(&forward[group], &seeded);
    }
    assert_true(differ > 32);
    network_release(&network);
}

/* Cards of two choices with equal decks must not go together: over 720 draws of 6 x 6 pairs, each
 * pair is expected 20 times; 0 has a chance of e^-20. */
static void choices_are_independent(void **state) {
    (void)state;
    struct network network;
    toy(&network, false);
    const enum draw_kind kinds[] = {DRAW_BALANCED, DRAW_UNIFORM};
    int a = network.layers[0].width, b = network.layers[1].expand;
    for (int k = 0; k < 2; k++) {
        struct sampler sampler = {.seed = 11, .kind = kinds[k]};
        int seen[6][6] = {{0}};
        for (int group = 0; group < 720; group++) {
            struct subnetwork sub = sampler_draw(&sampler, &network, group, 0);
            seen[sub.option[a]][sub.option[b]]++;
        }
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                assert_in_range(seen[i][j], 3, 60);
    }
    network_release(&network);
}

static void absent_is_one_card_beside_the_widths(void **state) {
    (void)state;
    struct network network;
    toy(&network, true);
    struct sampler sampler = {.seed = 3, .kind = DRAW_BALANCED};
    int present = network.layers[1].present, cards = 4 + 1;
    for (int round = 0; round < 40; round++) {
        int absent = 0;
        for (int card = 0; card < cards; card++) {
            struct subnetwork sub = sampler_draw(&sampler, &network, round * cards + card, 0);
            struct subnetwork canonical = subnetwork_canonical(&network, sub);
            assert_true(subnetwork_equal(&sub, &canonical));
            absent += sub.option[present];
        }
        assert_int_equal(absent, 1);
    }
    network_release(&network);
}

static void warm_up_opens_options_linearly(void **state) {
    (void)state;
    struct network network;
    toy(&network, false);
    const enum draw_kind kinds[] = {DRAW_BALANCED, DRAW_UNIFORM};
    /* 6 options: 1 + 5 epoch / 10, rounded */
    const struct {
        double epoch;
        int options;
    } expected[] = {{0, 1}, {0.9, 1}, {1.1, 2}, {5.1, 4}, {8.9, 5}, {9.1, 6}, {10, 6}, {99, 6}};
    int expand = network.layers[1].expand;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            struct sampler sampler = {.seed = 8, .kind = kinds[k], .warmup_epochs = 10};
            int most = 0, seen[6] = {0};
            for (int group = 0; group < 240; group++) {
                struct subnetwork sub = sampler_draw(&sampler, &network, group, expected[i].epoch);
                int option = sub.option[expand];
                most = option > most ? option : most;
                seen[option]++;
            }
            assert_int_equal(most + 1, expected[i].options);
            if (kinds[k] == DRAW_BALANCED)
                for (int option = 0; option <= most; option++)
                    assert_int_equal(seen[option], 240 / expected[i].options);
        }
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_once_per_round),
        cmocka_unit_test(draws_depend_on_group_number_and_seed_only),
        cmocka_unit_test(choices_are_independent),
        cmocka_unit_test(absent_is_one_card_beside_the_widths),
        cmocka_unit_test(warm_up_opens_options_linearly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
