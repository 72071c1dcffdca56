/* Pictures that could not be read or decoded: counted once each however often they are met, named,
 * and too many of them a clear stop.
 * Any threads may call at the same time. */
#ifndef TAPER_BAD_PICTURES_H
#define TAPER_BAD_PICTURES_H

#include "cluster/cluster.h"
#include "support/sentences.h"
#include "support/status.h"

struct bad_pictures;

/* most: data.max_bad_images, or a negative number for no limit. */
enum status bad_pictures_create(struct bad_pictures **bad, int most);
void bad_pictures_release(struct bad_pictures *bad); /* NULL is fine */

/* Takes over the sentence that this thread has kept, failure(), as that of a bad picture. An error,
 * with a sentence that ends with it, when there are more than the limit. */
enum status bad_pictures_add(struct bad_pictures *bad);

/* The same for a sentence that may also be kept elsewhere. */
enum status bad_pictures_note(struct bad_pictures *bad, const char *sentence);

/* The same for pictures that a source met when it was opened. */
enum status bad_pictures_join(struct bad_pictures *bad, const struct sentences *faults);

/* Every rank of a cluster has met those of its own part of the batches: from now on all know all.
 * When no thread adds any more. */
enum status bad_pictures_share(struct bad_pictures *bad, struct cluster *cluster);

int bad_pictures_count(struct bad_pictures *bad);

/* All sentences so far, in no order; to be read when no thread adds any more. */
const struct sentences *bad_pictures_list(const struct bad_pictures *bad);

#endif
