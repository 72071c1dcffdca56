/* The machine that this process runs on. */
#ifndef TAPER_MACHINE_H
#define TAPER_MACHINE_H

#include <stddef.h>

/* The processor's name, or "unknown". */
void machine_processor(char *name, size_t size);

#endif
