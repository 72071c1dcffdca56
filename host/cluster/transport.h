/* How bytes get from rank to rank: a table of functions for each way. Adding one is a file with its
 * table and a row in transport.c.
 *
 * An operation is begun and then tested until it is done: the waiting, with its deadline and its
 * watch over the other ranks, is the same for all (wait.c). One operation is under way at a time.
 * Arguments are those of cluster.h and stay where they are until it is done. */
#ifndef TAPER_TRANSPORT_H
#define TAPER_TRANSPORT_H

#include "cluster/cluster.h"

#include <limits.h>

/* What a rank tells the others beside the operations. */
enum word {
    WORD_NONE,
    WORD_WAITING, /* I have waited for too long: who is still there? */
    WORD_LOST,    /* I have lost another rank, and end */
    WORD_FAILED   /* I give up for a reason of my own */
};

struct transport {
    const char *name;
    /* Joins the others; `state` is the transport's own. */
    enum status (*open)(void **state, int *rank, int *ranks);
    /* Well: after the last operation of all ranks; else the process is about to end. */
    void (*close)(void *state, bool well);

    enum status (*barrier)(void *state);
    enum status (*broadcast)(void *state, void *data, size_t bytes);
    enum status (*gather)(void *state, void *data, const size_t *ends);
    enum status (*exchange)(void *state, const void *out, const size_t *out_ends, void *in,
                            const size_t *in_ends);
    enum status (*reduce)(void *state, void *data, size_t count, enum cluster_element element,
                          enum cluster_reduction reduction);
    enum status (*test)(void *state, bool *done); /* of the operation begun last */

    /* To all others, whatever they are doing; and what was heard last from one of them. */
    void (*say)(void *state, enum word word);
    enum word (*heard)(void *state, int rank);
};

/* The most bytes of one operation: libraries count in an int. */
enum { MOST_TRANSPORT_BYTES = 1 << 30 };

extern const struct transport transport_none;

/* One whose library is loaded when it is wanted: programs on one rank neither need it nor wait for
 * it. MPI's functions cannot be looked up one by one instead: what its header calls MPI_COMM_WORLD
 * is another symbol, or a number, in every implementation. */
enum { TRANSPORT_VERSION = 1 };
typedef const struct transport *transport_function(int version);
#define TRANSPORT_SYMBOL "taper_transport"

/* The library that so many ranks need, "" for one that is built in; none here: an error that says
 * how to get it. */
enum status transport_check(int ranks, char path[PATH_MAX]);
/* The transport of so many ranks. */
enum status transport_choose(const struct transport **transport, int ranks);

#endif
