/* Several processes that train and search together: rank 0 of N to rank N - 1.
 *
 * Where the ranks meet. Every rank holds the whole state of a training and runs the same code; only
 * a batch is shared out. A pass (host/supernet) cuts a batch into numbered shards anyway, whose
 * gradients are added in the order of their numbers, so that threads change no bit: ranks take
 * ranges of these shards, and the same order makes that N ranks change no bit either. So the
 * exchange lies inside the pass, at the points where its threads wait for each other, and in no
 * operation of kernels/:
 *
 * - loader: every rank makes the pictures of its own shards, a part of the same batch;
 * - forward, where statistics of a batch-norm cross shards: gather() of the partial sums before
 * they are merged, as every rank merges all of them in the same order; backward the same of its
 * sums;
 * - loss: gather() of the losses of single images;
 * - gradient, deterministic: exchange() of the shards' gradients, a slice of the vector for each
 *   rank, who adds its slice shard by shard; then gather() of the sums. Else each rank adds its own
 *   shards, and reduce() adds the ranks;
 * - step loop: reduce() of "an interrupt came", so that all ranks stop after the same step.
 *
 * The optimiser then does the same on every rank. host/supernet, host/training and host/search see
 * this header alone; a transport (transport.h) is what moves the bytes. Rank 0 alone writes into
 * the run folder, and what it read or decided goes to the others by broadcast(). Samples of a
 * search are dealt to the ranks, each of which scores its own without the others.
 *
 * All ranks make the same calls in the same order, one at a time, from one thread. A call waits for
 * the others as long as cluster.deadline says; only a broadcast waits without end, for rank 0 may
 * have something to do alone before it. A rank that died, failed or is late ends the call with
 * STATUS_RANK_LOST and a sentence that names it and its host.
 *
 * A cluster NULL, or of one rank, does nothing: parts of the engine run alone under test.
 */
#ifndef TAPER_CLUSTER_H
#define TAPER_CLUSTER_H

#include "support/status.h"

#include <stdbool.h>
#include <stddef.h>

struct cluster;

struct cluster_config {
    double deadline;    /* seconds that a rank waits for the others */
    bool deterministic; /* the same bits for any number of ranks */
};

/* Joins the ranks that this process was started among (environment.h); alone: a cluster of one
 * rank. asked: of --ranks, 0 where it is not given; another number than was started is an error. */
enum status cluster_open(struct cluster **cluster, const struct cluster_config *config, int asked);
/* The end, after whatever came of it. Well ended (STATUS_OK, STATUS_INTERRUPTED): waits for the
 * others; else tells them. *silent: rank 0 says to the user what went wrong. NULL is fine. Returns
 * `status`, unless only the waiting failed. */
enum status cluster_close(struct cluster *cluster, enum status status, bool *silent);

int cluster_rank(const struct cluster *cluster);
int cluster_ranks(const struct cluster *cluster);
static inline bool cluster_first(const struct cluster *cluster) {
    return cluster_rank(cluster) == 0;
}
int cluster_local_ranks(const struct cluster *cluster); /* on this host, this one included */
bool cluster_deterministic(const struct cluster *cluster);

/* Before rank `rank` of all lie so many of `count` things that are shared out evenly, in order. */
static inline int cluster_share(int count, int rank, int ranks) {
    return (int)((long)count * rank / ranks);
}

enum status cluster_barrier(struct cluster *cluster);
/* Until rank 0 has come here, too, whatever it has to do before. */
enum status cluster_await_first(struct cluster *cluster);
enum status cluster_broadcast(struct cluster *cluster, void *data, size_t bytes); /* from rank 0 */

/* data: a part of every rank's, one behind the other; ends[rank] is where that rank's part ends, in
 * bytes. Comes with the own part filled in, leaves with all. */
enum status cluster_gather(struct cluster *cluster, void *data, const size_t *ends);

/* Part `rank` of `out` goes to that rank, whose part for this one comes to part `rank` of `in`.
 * Ends as above; two ranks agree on the sizes between them. */
enum status cluster_exchange(struct cluster *cluster, const void *out, const size_t *out_ends,
                             void *in, const size_t *in_ends);

/* data[count] of all ranks, element by element, in place. */
enum cluster_element { CLUSTER_INT, CLUSTER_FLOAT, CLUSTER_DOUBLE };
enum cluster_reduction { CLUSTER_SUM, CLUSTER_MOST };
enum status cluster_reduce(struct cluster *cluster, void *data, size_t count,
                           enum cluster_element element, enum cluster_reduction reduction);

/* A number that must be the same on all ranks, such as a hash of what each has read: `what` tells
 * in the sentence of the error. */
enum status cluster_agree(struct cluster *cluster, unsigned long long number, const char *what);

/* For tests: a cluster of a transport that is open. */
struct transport;
enum status cluster_create(struct cluster **cluster, const struct transport *transport, void *state,
                           int rank, int ranks, const struct cluster_config *config);

#endif
