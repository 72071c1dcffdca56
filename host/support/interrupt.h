/* Ctrl-C, SIGTERM and SIGUSR1 as a request: the first signal lets the current step finish and be
 * saved, the second one ends the process at once. */
#ifndef TAPER_INTERRUPT_H
#define TAPER_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void); /* from now on */
bool interrupt_requested(void);
void interrupt_request(bool requested); /* what a signal does, without one */

#endif
