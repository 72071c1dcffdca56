#include "cluster/wait.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Operations mostly end at once; who waits for longer leaves its core to others. */
static const double SPIN = 20e-6, YIELD = 5e-3, LOOK = 0.02, LONGEST_SLEEP = 5e-3;

/* So long the others may take to answer that they are waiting, too; and rank 0 to have the error
 * that another has. */
static const double ANSWER = 1, SAME_ERROR = 0.5;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum status lost(const struct cluster *cluster, int rank, const char *what) {
    char name[PEER_NAME];
    return fail(STATUS_RANK_LOST, "%s %s", peers_name(cluster->peers, rank, name), what);
}

/* What can be known without waiting. Who says that it waits, or has lost somebody, ends soon and is
 * not the one that is missing. *asked: somebody said so. */
static enum status look(const struct cluster *cluster, bool *asked) {
    const struct transport *transport = cluster->transport;
    for (int rank = 0; rank < cluster->ranks; rank++) {
        if (rank == cluster->rank)
            continue;
        bool ended = peers_ended(cluster->peers, rank); /* before its last word */
        enum word word = transport->heard(cluster->state, rank);
        if (word == WORD_FAILED)
            return lost(cluster, rank, "gave up; its own message says why");
        if (word == WORD_NONE && ended)
            return lost(cluster, rank, "died");
        *asked |= word != WORD_NONE;
    }
    return STATUS_OK;
}

/* "rank 1 (...) and rank 3 (...)" */
static int name_silent(const struct cluster *cluster, char *names, size_t size) {
    int silent = 0;
    char name[PEER_NAME];
    names[0] = '\0';
    for (int rank = 0; rank < cluster->ranks; rank++) {
        if (rank == cluster->rank || cluster->transport->heard(cluster->state, rank) != WORD_NONE)
            continue;
        size_t length = strlen(names);
        snprintf(names + length, size - length, "%s%s", silent++ ? " and " : "",
                 peers_name(cluster->peers, rank, name));
    }
    return silent;
}

/* All that wait say so, and hear of each other: who stays silent holds up the rest. */
static enum status find_late(struct cluster *cluster) {
    const struct transport *transport = cluster->transport;
    char names[512];
    bool done = false, asked;
    transport->say(cluster->state, WORD_WAITING);
    for (double end = seconds() + ANSWER; seconds() < end && !done;) {
        TRY(transport->test(cluster->state, &done));
        if (!done)
            TRY(look(cluster, &asked));
        sched_yield();
    }
    if (name_silent(cluster, names, sizeof names) == 0)
        return fail(STATUS_RANK_LOST,
                    "the other ranks waited for longer than cluster.deadline (%g s) at exchange "
                    "%lld, and end",
                    cluster->config.deadline, cluster->operations);
    return fail(STATUS_RANK_LOST, "%s did not come to exchange %lld within cluster.deadline (%g s)",
                names, cluster->operations, cluster->config.deadline);
}

static void sleep_for(double time) {
    time = time < LONGEST_SLEEP ? time : LONGEST_SLEEP;
    nanosleep(&(struct timespec){.tv_nsec = (long)(time * 1e9)}, NULL);
}

enum status cluster_wait(struct cluster *cluster, bool patient) {
    double start = seconds(), looked = start;
    bool done = false, asked = false;
    for (;;) {
        TRY(cluster->transport->test(cluster->state, &done));
        if (done)
            return STATUS_OK;
        double now = seconds();
        if (now - looked > LOOK) {
            TRY(look(cluster, &asked));
            looked = now;
        }
        if (asked || (!patient && now - start > cluster->config.deadline))
            return find_late(cluster);
        if (now - start > YIELD)
            sleep_for((now - start) / 100);
        else if (now - start > SPIN)
            sched_yield();
    }
}

/* The launcher takes the code of the first that ends: that of rank 0, for which it gets the time.
 */
void cluster_leave(struct cluster *cluster, enum status status, bool *silent) {
    const struct transport *transport = cluster->transport;
    bool lost_other = status == STATUS_RANK_LOST;
    *silent = false;
    transport->say(cluster->state, lost_other ? WORD_LOST : WORD_FAILED);
    for (double end = seconds() + SAME_ERROR; cluster->rank > 0 && seconds() < end;) {
        enum word word = transport->heard(cluster->state, 0);
        *silent = word == WORD_FAILED || (word == WORD_LOST && lost_other);
        sleep_for(LONGEST_SLEEP);
    }
}
