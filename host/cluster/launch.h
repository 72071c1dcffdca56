/* `--ranks N`: the same command again, N times, by MPI's launcher. */
#ifndef TAPER_LAUNCH_H
#define TAPER_LAUNCH_H

#include "support/status.h"

#include <stdbool.h>

/* Whether a command that is to run on so many ranks was started as one of them already. */
enum status launch_wanted(int ranks, bool *wanted);

/* Runs `taper ARGUMENTS...` (NULL at the end) on so many ranks and waits for them. Their status;
 * for one that is not STATUS_OK they have said why, and failure() is empty. Ctrl-C, SIGTERM and
 * SIGUSR1 go on to the ranks as a request to save and stop; when this process is killed, so are
 * they. */
enum status launch(int ranks, const char *const *arguments);

#endif
