/* A list of sentences: all are counted, the first MOST_SENTENCES kept. */
#ifndef TAPER_SENTENCES_H
#define TAPER_SENTENCES_H

#include <stddef.h>

enum { MOST_SENTENCES = 10000 };

struct sentences {
    int count, kept;
    char *text; /* each with its 0; owned */
    size_t size, room;
};

/* One line whatever the words hold. Without memory it is counted only. */
void sentences_add(struct sentences *sentences, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sentences_join(struct sentences *to, const struct sentences *from); /* at the end of `to` */

/* The sentence behind `last`, one of the list's; the first behind NULL; NULL at the end. */
const char *sentences_next(const struct sentences *sentences, const char *last);
void sentences_release(struct sentences *sentences);

#endif
