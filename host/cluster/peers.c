#include "cluster/peers.h"
#include "support/memory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Processes of one host that live in different containers cannot be told apart by their numbers. */
struct peer {
    char host[64], name_space[32];
    long process;
};

struct peers {
    int ranks;
    struct peer *list; /* [ranks] */
    int *lives;        /* [ranks] files that can be read when a process has ended; -1: none */
};

enum status peers_create(struct peers **peers, int ranks) {
    TRY(allocate(peers, 1, sizeof **peers, "the ranks"));
    (*peers)->ranks = ranks;
    enum status status =
        allocate(&(*peers)->list, (size_t)ranks, sizeof *(*peers)->list, "the ranks");
    if (status == STATUS_OK)
        status = allocate(&(*peers)->lives, (size_t)ranks, sizeof *(*peers)->lives, "the ranks");
    if (status != STATUS_OK) {
        peers_release(*peers);
        *peers = NULL;
        return status;
    }
    for (int rank = 0; rank < ranks; rank++)
        (*peers)->lives[rank] = -1;
    return STATUS_OK;
}

void peers_release(struct peers *peers) {
    if (peers == NULL)
        return;
    for (int rank = 0; peers->lives != NULL && rank < peers->ranks; rank++)
        if (peers->lives[rank] >= 0)
            close(peers->lives[rank]);
    free(peers->lives);
    free(peers->list);
    free(peers);
}

static void describe_own(struct peer *peer) {
    *peer = (struct peer){.process = (long)getpid()};
    if (gethostname(peer->host, sizeof peer->host - 1) != 0)
        snprintf(peer->host, sizeof peer->host, "an unknown host");
    if (readlink("/proc/self/ns/pid", peer->name_space, sizeof peer->name_space - 1) < 0)
        snprintf(peer->name_space, sizeof peer->name_space, "%ld", peer->process);
}

void *peers_describe(struct peers *peers, int own, size_t *bytes) {
    describe_own(&peers->list[own]);
    *bytes = sizeof *peers->list;
    return peers->list;
}

void peers_watch(struct peers *peers, int own) {
    for (int rank = 0; rank < peers->ranks; rank++) {
        struct peer *peer = &peers->list[rank];
        peer->host[sizeof peer->host - 1] = peer->name_space[sizeof peer->name_space - 1] = '\0';
        if (peer->process != peers->list[own].process &&
            strcmp(peer->host, peers->list[own].host) == 0 &&
            strcmp(peer->name_space, peers->list[own].name_space) == 0)
            peers->lives[rank] = (int)syscall(SYS_pidfd_open, (pid_t)peer->process, 0);
    }
}

const char *peers_name(const struct peers *peers, int rank, char name[PEER_NAME]) {
    const struct peer *peer = &peers->list[rank];
    if (peer->process == 0) /* before they met */
        snprintf(name, PEER_NAME, "rank %d", rank);
    else
        snprintf(name, PEER_NAME, "rank %d (process %ld on %s)", rank, peer->process, peer->host);
    return name;
}

int peers_on_host(const struct peers *peers, int own) {
    int count = 0;
    for (int rank = 0; rank < peers->ranks; rank++)
        count += strcmp(peers->list[rank].host, peers->list[own].host) == 0;
    return count;
}

bool peers_ended(const struct peers *peers, int rank) {
    struct pollfd life = {.fd = peers->lives[rank], .events = POLLIN};
    return life.fd >= 0 && poll(&life, 1, 0) > 0 && (life.revents & POLLIN) != 0;
}
