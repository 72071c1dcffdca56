/* Which backend runs the operations: the CPU's, which is built in, or one that is loaded at run time,
 * so that the program starts, and works, without CUDA's libraries, driver or card.
 */
#ifndef TAPER_BACKEND_H
#define TAPER_BACKEND_H

#include "ops.h"

/* The table of a backend's library, which stays loaded. Fails with a sentence when the library, a
 * library that it needs, a driver or a device is missing. */
enum status backend_load(const char *file, enum precision precision, const struct ops **ops);

enum device { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
enum { BACKEND_REASON = 512 };

/* auto: CUDA where it works, else the CPU, and `reason` tells why (else it is empty). cuda: fails
 * where it does not work. The library is looked for beside the program, then in ../lib/taper. */
enum status backend_choose(enum device device, enum precision precision, const struct ops **ops,
                           char reason[BACKEND_REASON]);

#endif
