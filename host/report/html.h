/* Text for a page: whatever comes from a file is shown, never obeyed. */
#ifndef TAPER_HTML_H
#define TAPER_HTML_H

#include <stdio.h>

/* With &, <, >, " and ' written as entities: right between tags and inside quoted attributes. */
void html_text(FILE *file, const char *text);

/* The same of a formatted text; what is over 1023 bytes is cut off. */
void html_format(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
