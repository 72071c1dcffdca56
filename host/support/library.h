/* Libraries of the program's own that are loaded at run time and stay loaded. */
#ifndef TAPER_LIBRARY_H
#define TAPER_LIBRARY_H

#include "support/status.h"

#include <limits.h>
#include <stdbool.h>

/* Where a library of the program lies: beside it, or in ../lib/taper. false: nowhere. */
bool library_find(char path[PATH_MAX], const char *name);

/* LIBRARY_SHARES_SYMBOLS: plugins that the library loads itself use symbols of what it is linked
 * with. */
enum library_scope { LIBRARY_ALONE, LIBRARY_SHARES_SYMBOLS };

/* Loads a library and finds a function in it. `function` points to a pointer to a function: C has
 * no cast to one from data. */
enum status library_symbol(const char *file, const char *name, enum library_scope scope,
                           void *function);

#endif
