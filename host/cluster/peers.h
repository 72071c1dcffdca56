/* Who the ranks are, and which of those on this host still live. */
#ifndef TAPER_PEERS_H
#define TAPER_PEERS_H

#include "support/status.h"

#include <stdbool.h>
#include <stddef.h>

struct peers; /* owned by the cluster */

enum status peers_create(struct peers **peers, int ranks);
void peers_release(struct peers *peers); /* NULL is fine */

/* Who this process is, at its place in the list of all: *bytes a rank, for the ranks to gather. */
void *peers_describe(struct peers *peers, int own, size_t *bytes);
/* With that list complete: watches the others on this host. */
void peers_watch(struct peers *peers, int own);

/* "rank 3 (process 4711 on node07)" */
enum { PEER_NAME = 128 };
const char *peers_name(const struct peers *peers, int rank, char name[PEER_NAME]);

/* How many ranks are on the host of this one. */
int peers_on_host(const struct peers *peers, int own);

/* Whether a rank is on this host and its process has ended. */
bool peers_ended(const struct peers *peers, int rank);

#endif
