/* Makes a pack (pack_format.h) of a source's pictures, so that a kill at any time loses little.
 *
 * The file grows as FILE.partial. FILE.partial.index lists what is on disk of it, an entry a
 * picture in the source's order, and begins with the origin: after a kill the same call goes on
 * behind the last entry, and ends with the same bits. At the end the file gets its name and the
 * list goes.
 */
#ifndef TAPER_PACK_WRITE_H
#define TAPER_PACK_WRITE_H

#include "data/bad_pictures.h"
#include "data/picture_source.h"

struct pack_options {
    const char *path;
    int short_side; /* larger pictures are written anew with this shorter side; 0: all as they are
                     */
    struct pool *pool;        /* reads and shrinks; NULL: the caller alone */
    struct bad_pictures *bad; /* within its limit, pictures that cannot be read are left out */
    void (*progress)(void *context, int done, int total); /* may be NULL */
    void *context;
};

struct pack_result {
    int pictures;   /* in the pack */
    int found_done; /* of the source's, by a call before */
    uint64_t bytes; /* of the file */
    bool was_there; /* nothing had to be done */
};

/* STATUS_INTERRUPTED: all so far is saved. A file at `path` that is another pack, or anything else,
 * stays, with an error. */
enum status pack_write(const struct picture_source *source, const struct pack_options *options,
                       struct pack_result *result);

#endif
