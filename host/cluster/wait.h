/* Waiting for an operation of a transport, with an eye on the other ranks. */
#ifndef TAPER_WAIT_H
#define TAPER_WAIT_H

#include "cluster/cluster.h"
#include "cluster/peers.h"
#include "cluster/transport.h"

struct cluster {
    const struct transport *transport;
    void *state; /* the transport's */
    struct peers *peers;
    int rank, ranks;
    struct cluster_config config;
    long long operations; /* begun so far */
};

/* Tells the others that this rank ends so. *silent: rank 0 has met the same. */
void cluster_leave(struct cluster *cluster, enum status status, bool *silent);

/* Until the operation begun last is done; `patient`: without a deadline. */
enum status cluster_wait(struct cluster *cluster, bool patient);

#endif
