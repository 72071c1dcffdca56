/* The report of a run, or of several side by side: one HTML file that needs nothing else, no
 * script either, and whose policy for the browser allows none. Works on a run that is under way.
 */
#ifndef TAPER_REPORT_H
#define TAPER_REPORT_H

#include "support/status.h"

/* Reads the folders, at most 8, and replaces `path`; on any error the old file stays. */
enum status report_write(const char *const *folders, int count, const char *path);

#endif
