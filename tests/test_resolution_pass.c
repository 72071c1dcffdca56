/* A pass for pictures of several sizes gives the bits of one for the size of its batch alone. */
#include "support_network.h"
#include "support_pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GROUPS = 4 };
static struct subnetwork without_resolution(const struct subnetwork *sub) {
    struct subnetwork other = {{0}};
    memcpy(other.option, sub->option + 1, sizeof other.option - sizeof other.option[0]);
    return other;
}

static struct subnetwork draw(const struct network *network, int resolution, uint32_t number) {
    struct subnetwork sub = pass_draw(network, number);
    sub.option[RESOLUTION_CHOICE] = (short)resolution;
    return sub;
}

/* A pass with everything that it leaves. */
struct side {
    struct pass *pass;
    real *weights, *gradient, *statistics;
    real logits[PASS_IMAGES * PASS_CLASSES];
    struct pass_result result;
};

static void open_side(struct side *side, const struct network *network, bool shared,
                      struct pool *pool) {
    side->pass = pass_make(network, ops_cpu(), GROUPS, shared, 0, pool);
    size_t size = pass_parameters(side->pass)->size + READ_SLACK;
    side->weights = pass_random_parameters(pass_parameters(side->pass));
    side->gradient = calloc(size, sizeof(real));
    side->statistics = calloc(pass_statistics(side->pass)->size + READ_SLACK, sizeof(real));
    assert_int_equal(pass_set_parameters(side->pass, side->weights), STATUS_OK);
}

static void close_side(struct side *side) {
    assert_int_equal(pass_guards_broken(side->pass), 0);
    pass_release(side->pass);
    free(side->weights);
    free(side->gradient);
    free(side->statistics);
}

static void set_groups(struct side *side, const struct subnetwork *subs, int count) {
    struct batch_group groups[GROUPS];
    for (int g = 0; g < count; g++)
        groups[g] = (struct batch_group){&subs[g], PASS_IMAGES / count};
    assert_int_equal(pass_set_groups(side->pass, groups, count), STATUS_OK);
}

static void train(struct side *side, const struct subnetwork *subs) {
    struct pass_batch batch = pass_batch_from(0);
    set_groups(side, subs, GROUPS);
    assert_int_equal(pass_forward_backward(side->pass, &batch, side->gradient, &side->result),
                     STATUS_OK);
    assert_int_equal(pass_logits(side->pass, PASS_IMAGES, side->logits), STATUS_OK);
}

static void calibrate(struct side *side, const struct subnetwork *sub) {
    struct pass_batch batch = pass_batch_from(0);
    set_groups(side, sub, 1);
    assert_int_equal(pass_forward(side->pass, &batch, STATISTICS_BATCH, &side->result), STATUS_OK);
    assert_int_equal(pass_batch_statistics(side->pass, side->statistics), STATUS_OK);
}

/* With the statistics given before. */
static void evaluate(struct side *side, const struct subnetwork *sub) {
    struct pass_batch batch = pass_batch_from(0);
    set_groups(side, sub, 1);
    assert_int_equal(pass_forward(side->pass, &batch, STATISTICS_GIVEN, &side->result), STATUS_OK);
    assert_int_equal(pass_logits(side->pass, PASS_IMAGES, side->logits), STATUS_OK);
}

static void assert_same(const struct side *a, const struct side *b) {
    assert_memory_equal(a->logits, b->logits, sizeof a->logits);
    assert_true(a->result.loss == b->result.loss);
    assert_memory_equal(a->gradient, b->gradient, pass_parameters(a->pass)->size * sizeof(real));
    assert_memory_equal(a->statistics, b->statistics,
                        pass_statistics(a->pass)->size * sizeof(real));
}

static void do_all(struct side *side, const struct subnetwork *subs,
                   const struct subnetwork *whole) {
    train(side, subs);
    calibrate(side, whole);
    evaluate(side, whole);
}

/* From each size to each other one, with weights and given statistics that are set once. The second
 * of two runs is an evaluation alone: what was given must reach the tensors of its size. */
static void check_bits(bool shared, int threads) {
    static const int order[] = {0, 1, 2, 0, 1, 2, 2, 1, 0, 2, 1, 0};
    struct network network;
    struct side all, one;
    struct pool *pool;
    assert_int_equal(pool_create(&pool, threads), STATUS_OK);
    pass_network_of_sizes(&network);
    open_side(&all, &network, shared, pool);
    real *given = pass_random_parameters(pass_statistics(all.pass));
    for (size_t i = 0; i < pass_statistics(all.pass)->size; i++)
        given[i] = (real)0.5 + given[i] * given[i];
    assert_int_equal(pass_set_statistics(all.pass, given), STATUS_OK);
    for (uint32_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct network alone;
        struct subnetwork subs[GROUPS], plain[GROUPS];
        for (uint32_t g = 0; g < GROUPS; g++) {
            subs[g] = draw(&network, order[i], i * 100 + g);
            plain[g] = without_resolution(&subs[g]);
        }
        pass_network_of_size(&alone, order[i]);
        open_side(&one, &alone, shared, pool);
        assert_int_equal(pass_set_statistics(one.pass, given), STATUS_OK);
        struct subnetwork whole = {{0}}, bare = {{0}};
        whole.option[RESOLUTION_CHOICE] = (short)order[i];
        if (i % 2 == 0) {
            do_all(&all, subs, &whole);
            do_all(&one, plain, &bare);
            assert_same(&all, &one);
        } else {
            evaluate(&all, &whole);
            evaluate(&one, &bare);
            assert_memory_equal(all.logits, one.logits, sizeof all.logits);
        }
        close_side(&one);
        network_release(&alone);
    }
    free(given);
    close_side(&all);
    network_release(&network);
    pool_release(pool);
}

static void a_step_has_the_bits_of_a_space_of_its_size(void **state) {
    (void)state;
    check_bits(false, 1);
    check_bits(false, 3);
    check_bits(true, 2);
}

static void groups_of_two_sizes_are_refused(void **state) {
    (void)state;
    struct network network;
    struct side side;
    pass_network_of_sizes(&network);
    open_side(&side, &network, false, NULL);
    struct subnetwork subs[2] = {draw(&network, 0, 1), draw(&network, 1, 1)};
    const struct batch_group groups[2] = {{&subs[0], 6}, {&subs[1], 6}};
    assert_int_equal(pass_set_groups(side.pass, groups, 2), STATUS_FAILED);
    close_side(&side);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_has_the_bits_of_a_space_of_its_size),
        cmocka_unit_test(groups_of_two_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
