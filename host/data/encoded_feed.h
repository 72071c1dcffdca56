/* Pictures of a source as a network reads them: fed to a loader for training, or decoded into
 * memory for evaluation. */
#ifndef TAPER_ENCODED_FEED_H
#define TAPER_ENCODED_FEED_H

#include "data/bad_pictures.h"
#include "data/loader.h"
#include "data/picture_recipe.h"
#include "data/picture_source.h"

struct encoded_pictures {
    const struct picture_source *source;
    struct picture_recipe recipe;
    struct bad_pictures *bad;
    const int *stand_ins; /* pictures of the source, drawn from in place of bad ones */
    int stand_in_count;
};

/* Borrows `from`. A bad picture's place is taken by another, drawn by the same key, so that batches
 * depend on the files alone; too many bad ones are the error of a batch. */
struct picture_feed encoded_feed(const struct encoded_pictures *from);

/* The `count` pictures `numbers`, as evaluation sees them, without the bad ones. Memory is taken
 * for all at once. After an error *pictures is empty. */
enum status encoded_decode(struct pictures *pictures, const struct encoded_pictures *from,
                           const int *numbers, int count, struct pool *pool);

#endif
