#include "cluster/cluster.h"
#include "cluster/environment.h"
#include "cluster/wait.h"
#include "support/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int cluster_rank(const struct cluster *cluster) {
    return cluster == NULL ? 0 : cluster->rank;
}

int cluster_ranks(const struct cluster *cluster) {
    return cluster == NULL ? 1 : cluster->ranks;
}

int cluster_local_ranks(const struct cluster *cluster) {
    return cluster_ranks(cluster) == 1 ? 1 : peers_on_host(cluster->peers, cluster->rank);
}

bool cluster_deterministic(const struct cluster *cluster) {
    return cluster == NULL || cluster->config.deterministic;
}

/* All hear who the others are. */
static enum status meet(struct cluster *cluster) {
    size_t *ends, bytes;
    void *list = peers_describe(cluster->peers, cluster->rank, &bytes);
    TRY(allocate(&ends, (size_t)cluster->ranks, sizeof *ends, "the ranks"));
    for (int rank = 0; rank < cluster->ranks; rank++)
        ends[rank] = (size_t)(rank + 1) * bytes;
    enum status status = cluster_gather(cluster, list, ends);
    free(ends);
    if (status == STATUS_OK)
        peers_watch(cluster->peers, cluster->rank);
    return status;
}

enum status cluster_create(struct cluster **cluster, const struct transport *transport, void *state,
                           int rank, int ranks, const struct cluster_config *config) {
    TRY(allocate(cluster, 1, sizeof **cluster, "the ranks"));
    **cluster = (struct cluster){
        .transport = transport, .state = state, .rank = rank, .ranks = ranks, .config = *config};
    bool silent;
    enum status status = peers_create(&(*cluster)->peers, ranks);
    if (status == STATUS_OK)
        status = meet(*cluster);
    if (status == STATUS_OK)
        return STATUS_OK;
    cluster_close(*cluster, status, &silent);
    *cluster = NULL;
    return status;
}

/* A launcher that speaks another protocol than the library starts N programs that are each alone:
 * they would all write into one folder. */
static enum status check_number(const struct started *started, int asked, int ranks) {
    if (ranks != started->ranks)
        return fail(STATUS_USAGE,
                    "this is rank 0 of %d, but the environment's %s says that there are %d: start "
                    "it with --ranks, mpirun, or srun --mpi=pmix, or unset %s",
                    ranks, started->variable, started->ranks, started->variable);
    if (asked > 0 && asked != ranks)
        return fail(STATUS_USAGE, "--ranks %d, but the environment's %s has started %d", asked,
                    started->variable, ranks);
    return STATUS_OK;
}

enum status cluster_open(struct cluster **cluster, const struct cluster_config *config, int asked) {
    struct started started;
    const struct transport *transport;
    void *state;
    int rank, ranks;
    *cluster = NULL;
    TRY(environment_ranks(&started));
    TRY(transport_choose(&transport, started.ranks));
    TRY(transport->open(&state, &rank, &ranks));
    enum status status = check_number(&started, asked, ranks);
    if (status == STATUS_OK)
        return cluster_create(cluster, transport, state, rank, ranks, config);
    transport->close(state, false);
    return status;
}

enum status cluster_close(struct cluster *cluster, enum status status, bool *silent) {
    *silent = false;
    if (cluster == NULL)
        return status;
    bool well = status == STATUS_OK || status == STATUS_INTERRUPTED;
    enum status met = well ? cluster_barrier(cluster) : status;
    if (met != STATUS_OK) {
        well = false;
        status = met;
    }
    if (!well && cluster->ranks > 1)
        cluster_leave(cluster, status, silent);
    cluster->transport->close(cluster->state, well);
    peers_release(cluster->peers);
    free(cluster);
    return status;
}

enum status cluster_barrier(struct cluster *cluster) {
    if (cluster_ranks(cluster) == 1)
        return STATUS_OK;
    cluster->operations++;
    TRY(cluster->transport->barrier(cluster->state));
    return cluster_wait(cluster, false);
}

enum status cluster_await_first(struct cluster *cluster) {
    char nothing = 0;
    return cluster_broadcast(cluster, &nothing, sizeof nothing);
}

enum status cluster_broadcast(struct cluster *cluster, void *data, size_t bytes) {
    size_t part;
    if (cluster_ranks(cluster) == 1)
        return STATUS_OK;
    for (size_t sent = 0; sent < bytes; sent += part) {
        part = bytes - sent < MOST_TRANSPORT_BYTES ? bytes - sent : MOST_TRANSPORT_BYTES;
        cluster->operations++;
        TRY(cluster->transport->broadcast(cluster->state, (char *)data + sent, part));
        TRY(cluster_wait(cluster, !cluster_first(cluster)));
    }
    return STATUS_OK;
}

static enum status check_bytes(size_t bytes) {
    if (bytes > MOST_TRANSPORT_BYTES)
        return fail(STATUS_FAILED, "an exchange of %zu bytes is more than the %d of one operation",
                    bytes, MOST_TRANSPORT_BYTES);
    return STATUS_OK;
}

enum status cluster_gather(struct cluster *cluster, void *data, const size_t *ends) {
    if (cluster_ranks(cluster) == 1)
        return STATUS_OK;
    TRY(check_bytes(ends[cluster->ranks - 1]));
    cluster->operations++;
    TRY(cluster->transport->gather(cluster->state, data, ends));
    return cluster_wait(cluster, false);
}

enum status cluster_exchange(struct cluster *cluster, const void *out, const size_t *out_ends,
                             void *in, const size_t *in_ends) {
    if (cluster_ranks(cluster) == 1) {
        memcpy(in, out, in_ends[0]);
        return STATUS_OK;
    }
    TRY(check_bytes(out_ends[cluster->ranks - 1]));
    TRY(check_bytes(in_ends[cluster->ranks - 1]));
    cluster->operations++;
    TRY(cluster->transport->exchange(cluster->state, out, out_ends, in, in_ends));
    return cluster_wait(cluster, false);
}

enum status cluster_reduce(struct cluster *cluster, void *data, size_t count,
                           enum cluster_element element, enum cluster_reduction reduction) {
    static const size_t sizes[] = {[CLUSTER_INT] = sizeof(int),
                                   [CLUSTER_FLOAT] = sizeof(float),
                                   [CLUSTER_DOUBLE] = sizeof(double)};
    size_t part, most = MOST_TRANSPORT_BYTES / sizes[element];
    if (cluster_ranks(cluster) == 1)
        return STATUS_OK;
    for (size_t done = 0; done < count; done += part) {
        part = count - done < most ? count - done : most;
        cluster->operations++;
        TRY(cluster->transport->reduce(cluster->state, (char *)data + done * sizes[element], part,
                                       element, reduction));
        TRY(cluster_wait(cluster, false));
    }
    return STATUS_OK;
}

enum status cluster_agree(struct cluster *cluster, unsigned long long number, const char *what) {
    unsigned long long firsts = number;
    TRY(cluster_broadcast(cluster, &firsts, sizeof firsts));
    int differs = firsts != number;
    TRY(cluster_reduce(cluster, &differs, 1, CLUSTER_INT, CLUSTER_MOST));
    if (differs)
        return fail(STATUS_USAGE, "the ranks do not agree on %s: all need the same files", what);
    return STATUS_OK;
}
