/* What names and answers of others hold, made fit for a sentence and a log, in place. */
#ifndef TAPER_CHARACTERS_H
#define TAPER_CHARACTERS_H

/* Spaces for control characters: it stays on one line. */
void make_one_line(char *text);

/* '?' for every byte that is no part of UTF-8, as JSON wants it: names of files are any bytes. */
void make_utf8(char *text);

/* The bytes of printf("%-*s", bytes, text) for a column of so many characters: one of a name may
 * have several bytes. */
int column_bytes(const char *text, int characters);

#endif
