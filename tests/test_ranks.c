/* Several ranks, as threads: a pass and a training on N of them are those of one, bit for bit, and
 * a rank that does not come is named. */
#include "cluster/transport.h"
#include "support/interrupt.h"
#include "support_network.h"
#include "support_pass.h"
#include "support_ranks.h"
#include "support_task.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct cluster_config ordered = {.deadline = 60, .deterministic = true};
static const struct cluster_config plain = {.deadline = 60, .deterministic = false};

/* ------------------------------------------------------------------ operations */

static enum status operations(struct cluster *cluster, void *context) {
    (void)context;
    int rank = cluster_rank(cluster), ranks = cluster_ranks(cluster);
    int gathered[64], sent = 7 + rank, ints[2] = {rank, -rank};
    double doubles[2] = {rank + 0.5, 1};
    size_t ends[MOST_TEST_RANKS];
    for (int r = 0, end = 0; r < ranks; r++) { /* rank r has r things */
        for (int i = 0; r == rank && i < r; i++)
            gathered[end + i] = 100 * r + i;
        end += r;
        ends[r] = (size_t)end * sizeof(int);
    }
    TRY(cluster_gather(cluster, gathered, ends));
    for (int r = 0, at = 0; r < ranks; r++)
        for (int i = 0; i < r; i++)
            assert_int_equal(gathered[at++], 100 * r + i);

    TRY(cluster_broadcast(cluster, &sent, sizeof sent));
    assert_int_equal(sent, 7);
    TRY(cluster_reduce(cluster, ints, 2, CLUSTER_INT, CLUSTER_MOST));
    assert_int_equal(ints[0], ranks - 1);
    assert_int_equal(ints[1], 0);
    TRY(cluster_reduce(cluster, doubles, 2, CLUSTER_DOUBLE, CLUSTER_SUM));
    assert_true(doubles[0] == ranks * ranks / 2.0 && doubles[1] == ranks);
    TRY(cluster_agree(cluster, 5, "the time of day"));
    return cluster_barrier(cluster);
}

static void operations_move_what_they_say(void **state) {
    (void)state;
    for (int ranks = 2; ranks <= 5; ranks++)
        ranks_run(ranks, &ordered, operations, NULL, NULL, NULL);
}

/* ------------------------------------------------------------------ a pass */

struct pass_case {
    const char *name;
    int groups;
    bool shared;
};
static const struct pass_case cases[] = {
    {"groups of their own", 6, false}, /* shards do not meet before the gradient */
    {"two groups", 2, false},          /* statistics cross shards */
    {"shared statistics", 6, true},
    {"one network", 1, false},
};

struct pass_work {
    const struct pass_case *one;
    const struct network *network;
    real *values;
    int parameters, statistics;
    real *gradients[MOST_TEST_RANKS], *batch_statistics[MOST_TEST_RANKS];
    real logits[MOST_TEST_RANKS][PASS_IMAGES * PASS_CLASSES];
    double losses[MOST_TEST_RANKS][PASS_IMAGES + 1]; /* the last: their mean */
    int correct[MOST_TEST_RANKS];
};

static enum status run_pass(struct cluster *cluster, void *context) {
    struct pass_work *work = context;
    int rank = cluster_rank(cluster), groups_count = work->one->groups;
    struct subnetwork subs[PASS_IMAGES];
    struct batch_group groups[PASS_IMAGES];
    struct pass_options options = {.images = PASS_IMAGES,
                                   .groups = groups_count,
                                   .shards = 6,
                                   .backward = true,
                                   .shared_norm = work->one->shared,
                                   .cluster = cluster,
                                   .epsilon = (real)1e-5,
                                   .mean = {(real)0.5, (real)0.4},
                                   .deviation = {(real)0.25, (real)0.3}};
    struct pass *pass;
    struct pass_result result;
    TRY(pass_create(&pass, work->network, ops_cpu(), NULL, &options));
    for (int g = 0; g < groups_count; g++) {
        subs[g] = pass_draw(work->network, 40 + g);
        groups[g] = (struct batch_group){&subs[g], PASS_IMAGES / groups_count};
    }
    TRY(pass_set_groups(pass, groups, groups_count));
    TRY(pass_set_parameters(pass, work->values));
    struct pass_batch batch = pass_batch_from(pass_own_images(pass).first);
    TRY(pass_forward_backward(pass, &batch, work->gradients[rank], &result));
    TRY(pass_logits(pass, PASS_IMAGES, work->logits[rank]));
    if (groups_count == 1)
        TRY(pass_batch_statistics(pass, work->batch_statistics[rank]));
    memcpy(work->losses[rank], result.losses, PASS_IMAGES * sizeof(double));
    work->losses[rank][PASS_IMAGES] = result.loss;
    work->correct[rank] = result.correct;
    assert_int_equal(pass_guards_broken(pass), 0);
    pass_release(pass);
    return STATUS_OK;
}

static void begin_pass(struct pass_work *work, const struct network *network,
                       const struct pass_case *one) {
    struct parameters parameters, statistics;
    assert_int_equal(parameters_of(&parameters, network), STATUS_OK);
    assert_int_equal(statistics_of(&statistics, network), STATUS_OK);
    *work = (struct pass_work){.one = one,
                               .network = network,
                               .values = pass_random_parameters(&parameters),
                               .parameters = (int)parameters.size,
                               .statistics = (int)statistics.size};
    for (int rank = 0; rank < MOST_TEST_RANKS; rank++) {
        work->gradients[rank] = calloc(parameters.size + READ_SLACK, sizeof(real));
        work->batch_statistics[rank] = calloc(statistics.size + READ_SLACK, sizeof(real));
        for (size_t i = 0; i < parameters.size; i++)
            work->gradients[rank][i] = (real)NAN; /* is set, not added to */
    }
    parameters_release(&parameters);
    parameters_release(&statistics);
    pass_batch_from(0); /* fills the batch: not by several threads at a time */
}

static void end_pass(struct pass_work *work) {
    for (int rank = 0; rank < MOST_TEST_RANKS; rank++) {
        free(work->gradients[rank]);
        free(work->batch_statistics[rank]);
    }
    free(work->values);
}

static void assert_same_pass(const struct pass_work *alone, const struct pass_work *many,
                             int ranks) {
    for (int rank = 0; rank < ranks; rank++) {
        if (memcmp(alone->gradients[0], many->gradients[rank],
                   (size_t)alone->parameters * sizeof(real)) != 0)
            fail_msg("%s: rank %d of %d has another gradient", alone->one->name, rank, ranks);
        assert_memory_equal(alone->losses[0], many->losses[rank], sizeof alone->losses[0]);
        assert_memory_equal(alone->logits[0], many->logits[rank], sizeof alone->logits[0]);
        assert_memory_equal(alone->batch_statistics[0], many->batch_statistics[rank],
                            (size_t)alone->statistics * sizeof(real));
        assert_int_equal(alone->correct[0], many->correct[rank]);
    }
}

/* Sums of a few terms in another order, in float: a few times the rounding of one. */
static void assert_close_pass(const struct pass_work *alone, const struct pass_work *many,
                              int ranks) {
    double size = 0, error = 0;
    for (int rank = 0; rank < ranks; rank++)
        for (int i = 0; i < alone->parameters; i++) {
            double expected = (double)alone->gradients[0][i];
            double off = (double)many->gradients[rank][i] - expected;
            size += expected * expected;
            error += off * off;
        }
    if (!(sqrt(error) <= 1e-6 * sqrt(size)))
        fail_msg("%s: %d ranks are off by %g of %g", alone->one->name, ranks, sqrt(error),
                 sqrt(size));
    assert_memory_equal(alone->losses[0], many->losses[ranks - 1], sizeof alone->losses[0]);
}

static void passes_on(int ranks, const struct cluster_config *config,
                      void (*compare)(const struct pass_work *, const struct pass_work *, int)) {
    struct network network;
    pass_network(&network);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct pass_work alone, many;
        begin_pass(&alone, &network, &cases[i]);
        begin_pass(&many, &network, &cases[i]);
        assert_int_equal(run_pass(NULL, &alone), STATUS_OK);
        ranks_run(ranks, config, run_pass, &many, NULL, NULL);
        compare(&alone, &many, ranks);
        end_pass(&alone);
        end_pass(&many);
    }
    network_release(&network);
}

/* 4 does not divide the 6 shards. */
static void a_pass_on_ranks_is_that_of_one(void **state) {
    (void)state;
    for (int ranks = 1; ranks <= 4; ranks++)
        passes_on(ranks, &ordered, assert_same_pass);
}

static void sums_of_ranks_agree_to_rounding(void **state) {
    (void)state;
    passes_on(2, &plain, assert_close_pass);
    passes_on(4, &plain, assert_close_pass);
}

/* ------------------------------------------------------------------ a training */

struct training_work {
    struct task_fixture *fixture;
    struct training_state states[MOST_TEST_RANKS];
    bool one_step;
};

static enum status run_training(struct cluster *cluster, void *context) {
    struct training_work *work = context;
    struct task_fixture own = *work->fixture;
    own.task.cluster = cluster;
    return task_train(&own, &work->states[cluster_rank(cluster)], 1);
}

static void train_on(struct training_work *work, int ranks, enum status expected) {
    enum status statuses[MOST_TEST_RANKS];
    char sentences[MOST_TEST_RANKS][SENTENCE_SIZE];
    ranks_run(ranks, &ordered, run_training, work, statuses, sentences);
    for (int rank = 0; rank < ranks; rank++)
        if (statuses[rank] != expected)
            fail_msg("rank %d: %s", rank, sentences[rank]);
}

static void release_states(struct training_work *work) {
    for (int rank = 0; rank < MOST_TEST_RANKS; rank++)
        state_release(&work->states[rank]);
}

/* The number of ranks changes at every cut. */
static void train_in_parts(struct task_fixture *fixture, const struct training_state *whole) {
    static const int ranks[] = {2, 4, 1, 3};
    struct training_work work = {.fixture = fixture};
    for (int part = 0; part < whole->step; part++) {
        interrupt_request(true); /* before the first step: the loop leaves after it */
        train_on(&work, ranks[part % 4], STATUS_INTERRUPTED);
        interrupt_request(false);
        release_states(&work);
    }
    train_on(&work, 2, STATUS_OK);
    assert_states_equal(whole, &work.states[0]);
    assert_states_equal(whole, &work.states[1]);
    release_states(&work);
}

static void check_training(bool supernet, bool shared, enum optimiser optimiser) {
    struct task_fixture fixture;
    struct training_state whole;
    task_begin(&fixture, supernet, optimiser);
    fixture.task.shared_norm = shared;
    assert_int_equal(task_train(&fixture, &whole, 2), STATUS_OK);
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        struct training_work work = {.fixture = &fixture};
        train_on(&work, ranks, STATUS_OK);
        for (int rank = 0; rank < ranks; rank++)
            assert_states_equal(&whole, &work.states[rank]);
        release_states(&work);
    }
    train_in_parts(&fixture, &whole);
    state_release(&whole);
    task_end(&fixture);
}

static void a_supernet_trains_on_ranks_as_on_one(void **state) {
    (void)state;
    check_training(true, false, OPTIMISER_SGD);
}

static void shared_statistics_train_on_ranks_as_on_one(void **state) {
    (void)state;
    check_training(true, true, OPTIMISER_SGD);
}

static void a_network_trains_on_ranks_as_on_one(void **state) {
    (void)state;
    check_training(false, false, OPTIMISER_RMSPROP);
}

static void too_many_ranks_are_refused(void **state) {
    (void)state;
    struct task_fixture fixture;
    task_begin(&fixture, true, OPTIMISER_SGD); /* of four groups */
    struct training_work work = {.fixture = &fixture};
    train_on(&work, 5, STATUS_USAGE);
    release_states(&work);
    task_end(&fixture);
}

/* ------------------------------------------------------------------ a rank that is lost */

static void sleep_seconds(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Rank 1 hangs for longer than the others wait. */
static enum status hang(struct cluster *cluster, void *context) {
    (void)context;
    TRY(cluster_barrier(cluster));
    if (cluster_rank(cluster) == 1)
        sleep_seconds(1.7);
    return cluster_barrier(cluster);
}

static void a_late_rank_is_named(void **state) {
    (void)state;
    const struct cluster_config hasty = {.deadline = 0.2, .deterministic = true};
    enum status statuses[3];
    char sentences[3][SENTENCE_SIZE];
    ranks_run(3, &hasty, hang, NULL, statuses, sentences);
    for (int rank = 0; rank < 3; rank += 2)
        assert_int_equal(statuses[rank], STATUS_RANK_LOST);
    assert_non_null(strstr(sentences[0], "rank 1 (process"));
    assert_null(strstr(sentences[0], "rank 2"));
    assert_non_null(strstr(sentences[2], "rank 1 (process"));
    assert_null(strstr(sentences[2], "rank 0"));
}

/* A broadcast may wait for what rank 0 does alone, for longer than the deadline. */
static enum status wait_for_first(struct cluster *cluster, void *context) {
    (void)context;
    if (cluster_first(cluster))
        sleep_seconds(0.4);
    return cluster_await_first(cluster);
}

static void rank_0_may_take_its_time(void **state) {
    (void)state;
    const struct cluster_config hasty = {.deadline = 0.2, .deterministic = true};
    ranks_run(2, &hasty, wait_for_first, NULL, NULL, NULL);
}

static enum status give_up(struct cluster *cluster, void *context) {
    (void)context;
    if (cluster_rank(cluster) == 2)
        return (fail)(STATUS_FAILED, "no more paper"); /* cmocka has another */
    return cluster_await_first(cluster) == STATUS_OK ? cluster_barrier(cluster) : STATUS_RANK_LOST;
}

static void the_others_hear_who_gave_up(void **state) {
    (void)state;
    enum status statuses[3];
    char sentences[3][SENTENCE_SIZE];
    ranks_run(3, &ordered, give_up, NULL, statuses, sentences);
    assert_int_equal(statuses[2], STATUS_FAILED);
    for (int rank = 0; rank < 2; rank++) {
        assert_int_equal(statuses[rank], STATUS_RANK_LOST);
        assert_non_null(strstr(sentences[rank], "rank 2"));
        assert_non_null(strstr(sentences[rank], "gave up"));
    }
}

static enum status disagree(struct cluster *cluster, void *context) {
    (void)context;
    return cluster_agree(cluster, cluster_rank(cluster) == 1 ? 4 : 5, "found.yaml");
}

static void disagreement_is_an_error_of_all(void **state) {
    (void)state;
    enum status statuses[3];
    ranks_run(3, &ordered, disagree, NULL, statuses, NULL);
    for (int rank = 0; rank < 3; rank++)
        assert_int_equal(statuses[rank], STATUS_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_move_what_they_say),
        cmocka_unit_test(a_pass_on_ranks_is_that_of_one),
        cmocka_unit_test(sums_of_ranks_agree_to_rounding),
        cmocka_unit_test(a_supernet_trains_on_ranks_as_on_one),
        cmocka_unit_test(shared_statistics_train_on_ranks_as_on_one),
        cmocka_unit_test(a_network_trains_on_ranks_as_on_one),
        cmocka_unit_test(too_many_ranks_are_refused),
        cmocka_unit_test(a_late_rank_is_named),
        cmocka_unit_test(rank_0_may_take_its_time),
        cmocka_unit_test(the_others_hear_who_gave_up),
        cmocka_unit_test(disagreement_is_an_error_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
