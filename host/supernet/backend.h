/* Which backend runs the operations: the CPU's, which is built in, or one that is loaded at run
 * time, so that the program starts, and works, without CUDA's libraries, driver or card.
 */
#ifndef TAPER_BACKEND_H
#define TAPER_BACKEND_H

#include "ops.h"

#include <limits.h>

/* The table of a backend's library, which stays loaded. Fails with a sentence when the library, a
 * library that it needs, a driver or a device is missing. */
enum status backend_load(const char *file, enum precision precision, const struct ops **ops);

enum device { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
enum { BACKEND_REASON = 512 };

/* The CUDA backend's library: beside the program, or in ../lib/taper. */
enum status backend_find(char path[PATH_MAX]);

/* What a backend's library says about devices and driver, a line each. */
enum status backend_report(const char *file, char *text, size_t size);

/* auto: CUDA where it works, else the CPU, and `reason` tells why (else it is empty). cuda: fails
 * where it does not work. `file` is the library; empty: backend_find(). */
enum status backend_choose(enum device device, const char *file, enum precision precision,
                           const struct ops **ops, char reason[BACKEND_REASON]);

#endif
