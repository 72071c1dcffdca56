#include "support/pool.h"
#include "support/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* About what waking a sleeping thread costs: who waits longer than this gives its core away. */
enum { SPIN_NANOSECONDS = 20000 };

enum { CACHE_LINE = 64 };

struct worker {
    struct pool *pool;
    pthread_t thread;
    int number;
};

/* A round is open while `waiting` pieces remain to be taken. Who takes one by lowering `waiting`
 * may read the round: it cannot end, and so cannot change, before that piece is done. Nobody waits
 * for a worker that took no piece, so one that lost its core delays a round by at most the piece
 * it holds. */
struct pool {
    int threads;
    int started;            /* workers that run: fewer than threads - 1 when creation failed */
    struct worker *workers; /* [threads - 1] */

    void (*work)(void *context, int piece, int worker);
    void *context;
    int pieces;

    /* Everybody writes these two: each has a cache line of its own. */
    char before_waiting[CACHE_LINE];
    atomic_int waiting; /* pieces that nobody took yet */
    char before_undone[CACHE_LINE];
    atomic_int undone; /* pieces that are not finished */
    char after_undone[CACHE_LINE];

    pthread_mutex_t lock;
    pthread_cond_t round_opened, round_done;
    atomic_int sleepers; /* workers that wait for round_opened, or are about to */
    atomic_bool caller_sleeps;
    atomic_bool stopping;
};

static void do_pieces(struct pool *pool, int worker) {
    int waiting = atomic_load(&pool->waiting);
    while (waiting > 0) {
        if (!atomic_compare_exchange_weak(&pool->waiting, &waiting, waiting - 1))
            continue;
        pool->work(pool->context, pool->pieces - waiting, worker);
        if (atomic_fetch_sub(&pool->undone, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->round_done);
            pthread_mutex_unlock(&pool->lock);
        }
        waiting = atomic_load(&pool->waiting);
    }
}

static bool round_opened(struct pool *pool) {
    return atomic_load(&pool->waiting) > 0 || atomic_load(&pool->stopping);
}

static bool round_done(struct pool *pool) {
    return atomic_load(&pool->undone) == 0;
}

static long long nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static bool spin_until(struct pool *pool, bool (*reached)(struct pool *)) {
    long long end = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < 16; i++) {
            if (reached(pool))
                return true;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (nanoseconds() < end);
    return false;
}

static void wait_for_round(struct pool *pool) {
    if (spin_until(pool, round_opened))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1); /* before the look that decides to sleep: open_round()
                                             looks the other way round */
    while (!round_opened(pool))
        pthread_cond_wait(&pool->round_opened, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_sleepers(struct pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->round_opened);
    pthread_mutex_unlock(&pool->lock);
}

static void open_round(struct pool *pool) {
    atomic_store(&pool->undone, pool->pieces);
    atomic_store(&pool->waiting, pool->pieces);
    if (atomic_load(&pool->sleepers) > 0)
        wake_sleepers(pool);
}

static void wait_for_end(struct pool *pool) {
    if (spin_until(pool, round_done))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!round_done(pool))
        pthread_cond_wait(&pool->round_done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

void pool_run(struct pool *pool, int pieces, void (*work)(void *context, int piece, int worker),
              void *context) {
    if (pool == NULL || pool->threads == 1 || pieces <= 1) {
        for (int piece = 0; piece < pieces; piece++)
            work(context, piece, 0);
        return;
    }
    pool->work = work;
    pool->context = context;
    pool->pieces = pieces;
    open_round(pool);
    do_pieces(pool, 0);
    wait_for_end(pool);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    while (!atomic_load(&worker->pool->stopping)) {
        wait_for_round(worker->pool);
        do_pieces(worker->pool, worker->number);
    }
    return NULL;
}

enum status pool_create(struct pool **pool, int threads) {
    struct pool *made = NULL;
    enum status status;
    *pool = NULL;
    if (threads < 1)
        return fail(STATUS_USAGE, "%d threads cannot work: at least 1 is needed", threads);
    TRY(allocate(&made, 1, sizeof *made, "the thread pool"));
    made->threads = threads;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->round_opened, NULL);
    pthread_cond_init(&made->round_done, NULL);
    TRY_CLEANUP(allocate(&made->workers, (size_t)threads, sizeof *made->workers, "the threads"));
    while (made->started < threads - 1) {
        struct worker *worker = &made->workers[made->started];
        *worker = (struct worker){.pool = made, .number = made->started + 1};
        int error = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (error != 0) {
            status = fail(STATUS_FAILED, "cannot start thread %d of %d: %s", worker->number + 1,
                          threads, strerror(error));
            goto done;
        }
        made->started++;
    }
    *pool = made;
    made = NULL;
done:
    pool_release(made);
    return status;
}

void pool_release(struct pool *pool) {
    if (pool == NULL)
        return;
    atomic_store(&pool->stopping, true);
    wake_sleepers(pool);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->round_done);
    pthread_cond_destroy(&pool->round_opened);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int pool_threads(const struct pool *pool) {
    return pool->threads;
}
