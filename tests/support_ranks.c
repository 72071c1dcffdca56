#include "support_ranks.h"
#include "cluster/transport.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum operation { BARRIER, BROADCAST, GATHER, EXCHANGE, REDUCE };

struct request {
    enum operation operation;
    const char *out;
    char *in;
    const size_t *out_ends, *in_ends;
    size_t count;
    enum cluster_element element;
    enum cluster_reduction reduction;
};

/* The last rank to come does the operation for all. */
struct meeting {
    pthread_mutex_t lock;
    int ranks, come;
    long done; /* operations */
    struct request requests[MOST_TEST_RANKS];
    enum word words[MOST_TEST_RANKS];
};

struct member {
    struct meeting *meeting;
    int rank;
    long begun;
};

static size_t start_of(const size_t *ends, int rank) {
    return rank > 0 ? ends[rank - 1] : 0;
}

static void exchange_all(struct meeting *meeting) {
    for (int to = 0; to < meeting->ranks; to++)
        for (int from = 0; from < meeting->ranks; from++) {
            const struct request *source = &meeting->requests[from],
                                 *target = &meeting->requests[to];
            size_t bytes = source->out_ends[to] - start_of(source->out_ends, to);
            assert_int_equal(bytes, target->in_ends[from] - start_of(target->in_ends, from));
            if (bytes > 0)
                memcpy(target->in + start_of(target->in_ends, from),
                       source->out + start_of(source->out_ends, to), bytes);
        }
}

static void gather_all(struct meeting *meeting) {
    for (int to = 0; to < meeting->ranks; to++)
        for (int from = 0; from < meeting->ranks; from++) {
            const size_t *ends = meeting->requests[from].in_ends;
            size_t start = start_of(ends, from);
            assert_int_equal(ends[from], meeting->requests[to].in_ends[from]);
            if (from != to)
                memcpy(meeting->requests[to].in + start, meeting->requests[from].in + start,
                       ends[from] - start);
        }
}

static double element_of(const struct request *request, size_t i) {
    switch (request->element) {
    case CLUSTER_INT:
        return ((const int *)request->in)[i];
    case CLUSTER_FLOAT:
        return (double)((const float *)request->in)[i];
    case CLUSTER_DOUBLE:
        return ((const double *)request->in)[i];
    }
    return 0;
}

static void set_element(const struct request *request, size_t i, double value) {
    if (request->element == CLUSTER_INT)
        ((int *)request->in)[i] = (int)value;
    else if (request->element == CLUSTER_FLOAT)
        ((float *)request->in)[i] = (float)value;
    else
        ((double *)request->in)[i] = value;
}

static void reduce_all(struct meeting *meeting) {
    const struct request *requests = meeting->requests;
    for (size_t i = 0; i < requests[0].count; i++) {
        double all = element_of(&requests[0], i);
        for (int rank = 1; rank < meeting->ranks; rank++) {
            double value = element_of(&requests[rank], i);
            if (requests[0].reduction == CLUSTER_SUM)
                all += value;
            else if (value > all)
                all = value;
        }
        for (int rank = 0; rank < meeting->ranks; rank++)
            set_element(&requests[rank], i, all);
    }
}

static void do_operation(struct meeting *meeting) {
    const struct request *first = &meeting->requests[0];
    for (int rank = 1; rank < meeting->ranks; rank++) /* all make the same calls */
        assert_int_equal(meeting->requests[rank].operation, first->operation);
    switch (first->operation) {
    case BARRIER:
        break;
    case BROADCAST:
        for (int rank = 1; rank < meeting->ranks; rank++)
            memcpy(meeting->requests[rank].in, first->in, first->count);
        break;
    case GATHER:
        gather_all(meeting);
        break;
    case EXCHANGE:
        exchange_all(meeting);
        break;
    case REDUCE:
        reduce_all(meeting);
        break;
    }
    meeting->come = 0;
    meeting->done++;
}

static enum status come(void *state, struct request request) {
    struct member *member = state;
    struct meeting *meeting = member->meeting;
    pthread_mutex_lock(&meeting->lock);
    meeting->requests[member->rank] = request;
    member->begun = meeting->done;
    if (++meeting->come == meeting->ranks)
        do_operation(meeting);
    pthread_mutex_unlock(&meeting->lock);
    return STATUS_OK;
}

static enum status barrier(void *state) {
    return come(state, (struct request){.operation = BARRIER});
}

static enum status broadcast(void *state, void *data, size_t bytes) {
    return come(state, (struct request){.operation = BROADCAST, .in = data, .count = bytes});
}

static enum status gather(void *state, void *data, const size_t *ends) {
    return come(state, (struct request){.operation = GATHER, .in = data, .in_ends = ends});
}

static enum status exchange(void *state, const void *out, const size_t *out_ends, void *in,
                            const size_t *in_ends) {
    return come(
        state,
        (struct request){
            .operation = EXCHANGE, .out = out, .out_ends = out_ends, .in = in, .in_ends = in_ends});
}

static enum status reduce(void *state, void *data, size_t count, enum cluster_element element,
                          enum cluster_reduction reduction) {
    return come(state, (struct request){.operation = REDUCE,
                                        .in = data,
                                        .count = count,
                                        .element = element,
                                        .reduction = reduction});
}

static enum status test(void *state, bool *done) {
    struct member *member = state;
    pthread_mutex_lock(&member->meeting->lock);
    *done = member->meeting->done > member->begun;
    pthread_mutex_unlock(&member->meeting->lock);
    return STATUS_OK;
}

static void say(void *state, enum word word) {
    struct member *member = state;
    pthread_mutex_lock(&member->meeting->lock);
    member->meeting->words[member->rank] = word;
    pthread_mutex_unlock(&member->meeting->lock);
}

static enum word heard(void *state, int rank) {
    struct member *member = state;
    pthread_mutex_lock(&member->meeting->lock);
    enum word word = member->meeting->words[rank];
    pthread_mutex_unlock(&member->meeting->lock);
    return word;
}

static void close_member(void *state, bool well) {
    (void)state;
    (void)well;
}

static const struct transport transport_threads = {.name = "threads",
                                                   .close = close_member,
                                                   .barrier = barrier,
                                                   .broadcast = broadcast,
                                                   .gather = gather,
                                                   .exchange = exchange,
                                                   .reduce = reduce,
                                                   .test = test,
                                                   .say = say,
                                                   .heard = heard};

struct thread {
    pthread_t thread;
    struct member member;
    const struct cluster_config *config;
    enum status (*work)(struct cluster *cluster, void *context);
    void *context;
    enum status status;
    char sentence[SENTENCE_SIZE];
};

static void *thread_main(void *argument) {
    struct thread *thread = argument;
    struct cluster *cluster;
    thread->status =
        cluster_create(&cluster, &transport_threads, &thread->member, thread->member.rank,
                       thread->member.meeting->ranks, thread->config);
    if (thread->status == STATUS_OK)
        thread->status = thread->work(cluster, thread->context);
    snprintf(thread->sentence, SENTENCE_SIZE, "%s", failure());
    bool silent;
    cluster_close(cluster, thread->status, &silent);
    failure_clear();
    return NULL;
}

void ranks_run(int ranks, const struct cluster_config *config,
               enum status (*work)(struct cluster *cluster, void *context), void *context,
               enum status *statuses, char (*sentences)[SENTENCE_SIZE]) {
    struct meeting meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .ranks = ranks};
    struct thread threads[MOST_TEST_RANKS];
    assert_true(ranks <= MOST_TEST_RANKS);
    for (int rank = 0; rank < ranks; rank++) {
        threads[rank] = (struct thread){
            .member = {&meeting, rank, 0}, .config = config, .work = work, .context = context};
        assert_int_equal(pthread_create(&threads[rank].thread, NULL, thread_main, &threads[rank]),
                         0);
    }
    for (int rank = 0; rank < ranks; rank++) {
        pthread_join(threads[rank].thread, NULL);
        if (statuses)
            statuses[rank] = threads[rank].status;
        else if (threads[rank].status != STATUS_OK)
            fail_msg("rank %d: %s", rank, threads[rank].sentence);
        if (sentences)
            memcpy(sentences[rank], threads[rank].sentence, SENTENCE_SIZE);
    }
    pthread_mutex_destroy(&meeting.lock);
}
