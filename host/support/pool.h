/* Worker threads that share numbered pieces of work.
 *
 * Which thread takes which piece is open (an atomic counter deals them); what a piece does must
 * depend on its number alone, so that results are the same for any number of threads. Waiting
 * spins briefly and then sleeps: spinning alone collapses when another process takes a core.
 */
#ifndef TAPER_POOL_H
#define TAPER_POOL_H

#include "support/status.h"

struct pool;

/* threads >= 1, the caller being one of them. */
enum status pool_create(struct pool **pool, int threads);
void pool_release(struct pool *pool); /* NULL is fine */
int pool_threads(const struct pool *pool);

/* Calls work(context, piece, worker) for every piece in [0, pieces), worker in [0, threads), and
 * returns when all are done; what a piece wrote is then seen by the caller and by later pieces.
 * One caller at a time, never from inside a piece. pool NULL: all on the caller. */
void pool_run(struct pool *pool, int pieces, void (*work)(void *context, int piece, int worker),
              void *context);

#endif
