/* Pictures of a file as a network reads them: JPEG, PNG, PGM and PPM, and IDX files (idx.h) whole,
 * or with the number of a picture or a range behind their name: FILE.gz:17, FILE.gz:10-19.
 */
#ifndef TAPER_PICTURE_FILE_H
#define TAPER_PICTURE_FILE_H

#include "data/dataset.h"
#include "data/picture_recipe.h"
#include <limits.h>

/* Where pictures are from: a file, and the number that its first picture has in an IDX file; -1:
 * the file is one picture. */
struct picture_origin {
    char path[PATH_MAX];
    int first;
};

/* *pictures: as many as named, without labels, as the recipe makes them for evaluation; those of
 * IDX files are stretched. Errors name the file; after one *pictures is empty. */
enum status picture_file_load(struct pictures *pictures, struct picture_origin *origin,
                              const char *name, const struct picture_recipe *recipe);

#endif
