/* The last step of pack_write(): index, classes, names and header, then the name. */
#ifndef TAPER_PACK_FINISH_H
#define TAPER_PACK_FINISH_H

#include "data/pack_journal.h"
#include "data/pack_write.h"

/* All pictures are in the journal, and saved. */
enum status pack_finish(struct pack_journal *journal, const struct picture_source *source,
                        const char *path, struct pack_result *result);

#endif
