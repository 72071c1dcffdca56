/* The thread pool: every piece exactly once, rounds that see what the one before wrote, and waiting
 * that survives when sleeping threads must be woken. */
#include "support/memory.h"
#include "support/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MOST_PIECES = 1000, MOST_THREADS = 7 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void sleep_microseconds(long microseconds) {
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

struct record {
    int threads;
    int calls[MOST_PIECES];      /* plain: two threads on one piece are a race that tsan sees */
    int in_worker[MOST_THREADS]; /* plain: so are two threads with one worker number */
    atomic_int bad_worker_or_piece;
};

static void note(void *context, int piece, int worker) {
    struct record *record = context;
    if (piece < 0 || piece >= MOST_PIECES || worker < 0 || worker >= record->threads) {
        atomic_fetch_add(&record->bad_worker_or_piece, 1);
        return;
    }
    record->calls[piece]++;
    record->in_worker[worker]++;
}

static void every_piece_runs_once(void **state) {
    (void)state;
    const int counts[] = {0, 1, 2, 3, 17, MOST_PIECES};
    for (int threads = 0; threads <= MOST_THREADS; threads++) { /* 0: no pool */
        struct pool *pool = NULL;
        if (threads > 0) {
            assert_int_equal(pool_create(&pool, threads), STATUS_OK);
            assert_int_equal(pool_threads(pool), threads);
        }
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            struct record record = {.threads = threads > 0 ? threads : 1};
            pool_run(pool, counts[i], note, &record);
            int total = 0;
            for (int piece = 0; piece < MOST_PIECES; piece++)
                assert_int_equal(record.calls[piece], piece < counts[i]);
            for (int worker = 0; worker < record.threads; worker++)
                total += record.in_worker[worker];
            assert_int_equal(total, counts[i]);
            assert_int_equal(record.bad_worker_or_piece, 0);
        }
        pool_release(pool);
    }
}

/* Each round adds to a cell what its neighbour had after the round before: lost updates, pieces of
 * the wrong round and missing visibility all change the sum. */
struct relay {
    int64_t from[8], to[8];
};

static void pass_on(void *context, int piece, int worker) {
    (void)worker;
    struct relay *relay = context;
    relay->to[piece] = (relay->from[piece] + relay->from[(piece + 1) % 8]) % 1000003;
}

static struct relay relay_after(struct pool *pool, int rounds, int pause_every) {
    struct relay relay = {.to = {1, 2, 3, 4, 5, 6, 7, 8}};
    for (int round = 0; round < rounds; round++) {
        memcpy(relay.from, relay.to, sizeof relay.from);
        pool_run(pool, 8, pass_on, &relay);
        if (pause_every > 0 && round % pause_every == 0)
            sleep_microseconds(200); /* long enough that the workers fall asleep */
    }
    return relay;
}

static void rounds_see_the_round_before(void **state) {
    (void)state;
    struct relay expected = relay_after(NULL, 5000, 0);
    for (int threads = 2; threads <= 5; threads++) {
        struct pool *pool;
        assert_int_equal(pool_create(&pool, threads), STATUS_OK);
        struct relay got = relay_after(pool, 5000, threads == 2 ? 0 : 50);
        assert_memory_equal(got.to, expected.to, sizeof got.to);
        pool_release(pool);
    }
}

static void piece_that_sleeps(void *context, int piece, int worker) {
    (void)piece;
    if (worker != 0)
        sleep_microseconds(500); /* the caller falls asleep waiting for it */
    atomic_fetch_add((atomic_int *)context, 1);
}

static void caller_waits_for_slow_pieces(void **state) {
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_create(&pool, 3), STATUS_OK);
    for (int round = 1; round <= 100; round++) {
        atomic_int done = 0;
        pool_run(pool, 3, piece_that_sleeps, &done);
        assert_int_equal(atomic_load(&done), 3);
        sleep_microseconds(round % 2 * 100);
    }
    pool_release(pool);
}

/* The caller holds its piece until another thread took the other one. */
static void piece_that_meets_the_other(void *context, int piece, int worker) {
    (void)piece;
    (void)worker;
    atomic_int *present = context;
    double start = seconds();
    atomic_fetch_add(present, 1);
    while (atomic_load(present) % 2 != 0 && seconds() - start < 20)
        sleep_microseconds(10);
}

static void pieces_run_at_the_same_time(void **state) {
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_create(&pool, 2), STATUS_OK);
    for (int round = 0; round < 20; round++) {
        atomic_int present = 0;
        double start = seconds();
        pool_run(pool, 2, piece_that_meets_the_other, &present);
        assert_true(seconds() - start < 10);
        sleep_microseconds(100);
    }
    pool_release(pool);
}

static void pools_come_and_go(void **state) {
    (void)state;
    pool_release(NULL);
    for (int i = 0; i < 100; i++) {
        struct pool *pool;
        assert_int_equal(pool_create(&pool, 1 + i % 4), STATUS_OK);
        if (i % 3 == 0)
            sleep_microseconds(50);
        pool_release(pool);
    }
}

static void creation_fails_with_a_sentence(void **state) {
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_create(&pool, 0), STATUS_USAGE);
    assert_null(pool);
    assert_string_equal(failure(), "0 threads cannot work: at least 1 is needed");
    for (int call = 1; call <= 2; call++) {
        failure_clear();
        allocate_fail_at(call);
        assert_int_equal(pool_create(&pool, 3), STATUS_FAILED);
        assert_null(pool);
        assert_non_null(strstr(failure(), "no memory"));
    }
    allocate_fail_at(0);
    failure_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_runs_once),
        cmocka_unit_test(rounds_see_the_round_before),
        cmocka_unit_test(caller_waits_for_slow_pieces),
        cmocka_unit_test(pieces_run_at_the_same_time),
        cmocka_unit_test(pools_come_and_go),
        cmocka_unit_test(creation_fails_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
