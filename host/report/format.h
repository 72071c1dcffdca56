/* Numbers as a person reads them. Each writes into the caller's buffer and returns it. */
#ifndef TAPER_FORMAT_H
#define TAPER_FORMAT_H

enum { FORMAT_SIZE = 32 };

const char *format_duration(char text[FORMAT_SIZE], double seconds);             /* "7 min 12 s" */
const char *format_count(char text[FORMAT_SIZE], double count);                  /* "31,234" */
const char *format_millions(char text[FORMAT_SIZE], double value, int decimals); /* "2.41 M" */
const char *format_bytes(char text[FORMAT_SIZE], double bytes);                  /* "310 MB" */

#endif
