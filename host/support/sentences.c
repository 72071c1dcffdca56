#include "support/sentences.h"
#include "support/characters.h"
#include "support/memory.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE = 1024 };

/* Without memory for it the text stays as it is. */
static bool make_room(struct sentences *sentences, size_t more) {
    char *grown;
    if (more <= sentences->room - sentences->size)
        return true;
    size_t room = 2 * sentences->room + more + SENTENCE;
    if (allocate_refused() || (grown = realloc(sentences->text, room)) == NULL)
        return false;
    sentences->text = grown;
    sentences->room = room;
    return true;
}

static void keep(struct sentences *sentences, const char *sentence) {
    size_t size = strlen(sentence) + 1;
    if (sentences->kept == MOST_SENTENCES || !make_room(sentences, size))
        return;
    memcpy(sentences->text + sentences->size, sentence, size);
    sentences->size += size;
    sentences->kept++;
}

void sentences_add(struct sentences *sentences, const char *format, ...) {
    char sentence[SENTENCE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    make_one_line(sentence);
    keep(sentences, sentence);
    sentences->count += sentences->count < INT_MAX;
}

void sentences_join(struct sentences *to, const struct sentences *from) {
    for (const char *sentence = NULL; (sentence = sentences_next(from, sentence)) != NULL;)
        keep(to, sentence);
    to->count = from->count > INT_MAX - to->count ? INT_MAX : to->count + from->count;
}

const char *sentences_next(const struct sentences *sentences, const char *last) {
    const char *next = last == NULL ? sentences->text : last + strlen(last) + 1;
    return sentences->size == 0 || next == sentences->text + sentences->size ? NULL : next;
}

void sentences_release(struct sentences *sentences) {
    free(sentences->text);
    *sentences = (struct sentences){0};
}
