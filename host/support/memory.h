/* Memory that fails with a sentence, and whose failure a test can provoke.
 *
 * The caller owns what these return and gives it back with free() (allocate) or arena_release().
 */
#ifndef TAPER_MEMORY_H
#define TAPER_MEMORY_H

#include "support/status.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* count * size zeroed bytes into *pointer (a pointer to a pointer). Overflow, or no memory: a
 * sentence that names `what`, and *pointer is NULL. */
enum status allocate(void *pointer, size_t count, size_t size, const char *what);

/* Counts as a call of allocate for allocate_fail_at(); true: this one must fail. */
bool allocate_refused(void);

/* The n-th call of allocate or arena_create from now on fails (1 = the next); 0 switches it off. */
void allocate_fail_at(long n);

/* One mapping, touched once at start and cut into pieces: first touch of a page is 50 times slower
 * than reuse, so nothing is allocated inside a step. Pieces are aligned to 64 bytes and separated
 * by a guard of 64 bytes that arena_check() verifies. */
struct arena;
enum status arena_create(struct arena **arena, size_t bytes, const char *what);
void *arena_take(struct arena *arena, size_t bytes); /* NULL when it does not fit; zeroed the first
                                                        time that its place is taken */
void arena_begin_anew(struct arena *arena); /* all is free again; contents stay until overwritten */
size_t arena_piece(size_t bytes);           /* what a piece costs, with its guard */
int arena_check(const struct arena *arena); /* how many guards were overwritten */
void arena_release(struct arena *arena);    /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
