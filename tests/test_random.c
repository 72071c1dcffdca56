/* Random numbers: the published vectors of Philox 4x32-10, independence of keys, and the shapes of
 * the distributions, all of it from fixed seeds. */
#include "support/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Known answers of the generator's authors (Random123, kat_vectors): counter, key, result. */
struct known_answer {
    uint32_t counter[4], key[2], result[4];
};
static const struct known_answer known_answers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void published_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof known_answers / sizeof *known_answers; i++) {
        const struct known_answer *known = &known_answers[i];
        uint64_t seed = (uint64_t)known->key[1] << 32 | known->key[0];
        uint64_t a = (uint64_t)(known->counter[3] & 0xffffff) << 32 | known->counter[2];
        enum random_purpose purpose = (enum random_purpose)(known->counter[3] >> 24);
        struct random_bits bits =
            random_draw(seed, purpose, a, known->counter[1], known->counter[0]);
        assert_memory_equal(bits.word, known->result, sizeof known->result);
    }
}

static int compare_words(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A part of the key that did not reach the counter would give equal draws. */
static void every_part_of_the_key_counts(void **state) {
    (void)state;
    const uint64_t values[] = {0, 1, 5, UINT64_C(1) << 24, UINT64_C(1) << 31};
    enum { VALUES = 5 };
    static uint64_t draws[VALUES * VALUES * VALUES * VALUES * RANDOM_CALIBRATION];
    size_t count = 0;
    for (int purpose = RANDOM_INITIALISE; purpose <= RANDOM_CALIBRATION; purpose++)
        for (int seed = 0; seed < VALUES; seed++)
            for (int a = 0; a < VALUES; a++)
                for (int b = 0; b < VALUES; b++)
                    for (int c = 0; c < VALUES; c++) {
                        struct random_bits bits =
                            random_draw(values[seed] << 16, (enum random_purpose)purpose,
                                        values[a] << 16, (uint32_t)values[b], (uint32_t)values[c]);
                        memcpy(&draws[count++], bits.word, sizeof *draws);
                    }
    qsort(draws, count, sizeof *draws, compare_words);
    for (size_t i = 1; i < count; i++)
        assert_true(draws[i] != draws[i - 1]);
}

static void sequence_is_the_draws_in_order(void **state) {
    (void)state;
    struct random_sequence sequence = random_sequence(7, RANDOM_SEARCH, 3, 9);
    for (uint32_t c = 0; c < 10; c++) {
        struct random_bits bits = random_draw(7, RANDOM_SEARCH, 3, 9, c);
        for (int word = 0; word < 4; word++)
            assert_int_equal(random_next(&sequence), bits.word[word]);
    }
}

static void below_is_even(void **state) {
    (void)state;
    enum { LIMIT = 7, DRAWS = 70000 };
    int counts[LIMIT] = {0};
    struct random_sequence sequence = random_sequence(1, RANDOM_SEARCH, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t drawn = random_below(&sequence, LIMIT);
        assert_true(drawn < LIMIT);
        counts[drawn]++;
    }
    for (int i = 0; i < LIMIT; i++) /* 5 standard deviations of a binomial count: 463 */
        assert_true(abs(counts[i] - DRAWS / LIMIT) < 463);
    assert_int_equal(random_below(&sequence, 1), 0);
}

/* With limit 3 * 2^30 a plain remainder would draw the lowest third twice as often. */
static void below_has_no_bias_for_large_limits(void **state) {
    (void)state;
    enum { DRAWS = 30000 };
    int counts[3] = {0};
    struct random_sequence sequence = random_sequence(2, RANDOM_SEARCH, 0, 0);
    for (int i = 0; i < DRAWS; i++)
        counts[random_below(&sequence, UINT32_C(3) << 30) >> 30]++;
    for (int i = 0; i < 3; i++) /* 5 standard deviations: 408 */
        assert_true(abs(counts[i] - DRAWS / 3) < 408);
}

static void uniform_fills_the_unit_interval(void **state) {
    (void)state;
    enum { DRAWS = 100000, BINS = 10 };
    int counts[BINS] = {0};
    double sum = 0;
    struct random_sequence sequence = random_sequence(3, RANDOM_INITIALISE, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        double drawn = random_uniform(&sequence);
        assert_true(drawn >= 0 && drawn < 1);
        counts[(int)(drawn * BINS)]++;
        sum += drawn;
    }
    for (int i = 0; i < BINS; i++) /* 5 standard deviations: 474 */
        assert_true(abs(counts[i] - DRAWS / BINS) < 474);
    assert_true(fabs(sum / DRAWS - 0.5) < 5 * 0.2887 / sqrt(DRAWS));
}

static void normal_has_its_moments(void **state) {
    (void)state;
    enum { DRAWS = 100000 };
    double power[5] = {0};
    int beyond_two = 0;
    for (uint32_t element = 0; element < DRAWS; element++) { /* as the weights are drawn */
        struct random_sequence sequence = random_sequence(4, RANDOM_INITIALISE, 2, element);
        double drawn = random_normal(&sequence);
        for (int i = 1; i <= 4; i++)
            power[i] += pow(drawn, i) / DRAWS;
        beyond_two += fabs(drawn) > 2;
    }
    /* Five standard deviations of each estimate: sqrt(1, 2, 15, 96) / sqrt(DRAWS). */
    assert_true(fabs(power[1]) < 0.0158);
    assert_true(fabs(power[2] - 1) < 0.0224);
    assert_true(fabs(power[3]) < 0.0612);
    assert_true(fabs(power[4] - 3) < 0.1549);
    assert_true(abs(beyond_two - 4550) < 330);
}

static void shuffle_reaches_every_order_evenly(void **state) {
    (void)state;
    enum { SHUFFLES = 24000 };
    int counts[4][4][4] = {{{0}}};
    for (uint64_t epoch = 0; epoch < SHUFFLES; epoch++) {
        int items[4] = {0, 1, 2, 3};
        struct random_sequence sequence = random_sequence(5, RANDOM_SHUFFLE, epoch, 0);
        random_shuffle(&sequence, items, 4);
        assert_int_equal(1 << items[0] | 1 << items[1] | 1 << items[2] | 1 << items[3], 15);
        counts[items[0]][items[1]][items[2]]++;
    }
    int orders = 0;
    for (int i = 0; i < 64; i++) {
        int count = (&counts[0][0][0])[i];
        orders += count > 0;
        assert_true(count == 0 || abs(count - SHUFFLES / 24) < 155); /* 5 standard deviations */
    }
    assert_int_equal(orders, 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(every_part_of_the_key_counts),
        cmocka_unit_test(sequence_is_the_draws_in_order),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(below_has_no_bias_for_large_limits),
        cmocka_unit_test(uniform_fills_the_unit_interval),
        cmocka_unit_test(normal_has_its_moments),
        cmocka_unit_test(shuffle_reaches_every_order_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
