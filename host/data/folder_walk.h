/* The walk through folders of pictures. */
#ifndef TAPER_FOLDER_WALK_H
#define TAPER_FOLDER_WALK_H

#include "data/source_type.h"

/* Adds every picture below FOLDER/NAME with `label`, sorted; their names are those below NAME.
 * Links are followed, but not to a folder that they are in: such a one is noted. Hidden files are
 * left out. An error when a folder cannot be read. */
enum status folder_walk(struct source_part *part, const char *folder, const char *name, int label);

/* The names of the folders in `folder`, a line each, in no order, and a 0 behind them; the caller's
 * to free(). Hidden ones are left out; none, or a name with a line break or a tab, is an error. */
enum status folder_list(const char *folder, char **text, size_t *size);

#endif
