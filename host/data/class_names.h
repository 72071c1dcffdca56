/* What classes are called, for whoever shows them: as data.classes says, else as the list of the
 * pictures' classes does, else they have numbers.
 *
 * A run keeps that list in its folder as classes.txt (class_list.h): names are there where the
 * pictures are not, and it cannot go on with pictures whose labels mean other classes.
 */
#ifndef TAPER_CLASS_NAMES_H
#define TAPER_CLASS_NAMES_H

#include "data/class_list.h"
#include "data/picture_source.h"

struct class_names { /* both borrowed */
    const struct data_config *config;
    const struct class_list *list; /* NULL or empty: there is none */
};

/* The name of a class, or its number as text: one line of UTF-8. */
const char *class_name(const struct class_names *names, int label, char text[MAX_CLASS_NAME]);

/* Keeps the classes of a part in the run folder. An error that names the first difference where
 * those of other folders, or in another order, are kept there; their titles may change. A source
 * whose classes have numbers only leaves everything as it is. */
enum status class_names_keep(const char *folder, const struct picture_source *source);

/* What a run folder keeps; empty where nothing is, or where pictures come without names (idx). */
enum status class_names_read(struct class_list *list, const struct data_config *config,
                             const char *folder);

#endif
