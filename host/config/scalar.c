/* Single values as YAML spells them, both ways. */
#include "config/keys.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The text of a scalar, cut for a sentence; of anything else a word for it. */
static const char *shown(const struct node *node) {
    static const char *const kinds[] = {"", "a list", "a map"};
    return node->kind == NODE_SCALAR ? node->text : kinds[node->kind];
}

enum status read_yes_no(const struct node *node, const char *name, bool *value) {
    static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false", "off"};
    for (int i = 0; i < 3 && node->kind == NODE_SCALAR; i++) {
        *value = strcmp(node->text, yes[i]) == 0;
        if (*value || strcmp(node->text, no[i]) == 0)
            return STATUS_OK;
    }
    return node_fail(node, "%s must be yes or no, not '%.64s'", name, shown(node));
}

enum status read_integer(const struct node *node, const char *name, long long least, long long most,
                         long long *value) {
    char *end = NULL;
    errno = 0;
    bool digits = node->kind == NODE_SCALAR &&
                  (isdigit((unsigned char)node->text[0]) || strchr("+-", node->text[0]) != NULL);
    if (digits)
        *value = strtoll(node->text, &end, 10);
    if (!digits || end == node->text || *end != '\0')
        return node_fail(node, "%s must be a whole number, not '%.64s'", name, shown(node));
    if (errno == ERANGE || *value < least || *value > most)
        return node_fail(node, "%s %.64s is not within %lld..%lld", name, node->text, least, most);
    return STATUS_OK;
}

enum status read_number(const struct node *node, const char *name, double least, double most,
                        double *value) {
    char *end = NULL;
    /* strtod() alone would take hexadecimal numbers, infinity and not-a-number too */
    bool digits = node->kind == NODE_SCALAR && node->text[0] != '\0' &&
                  node->text[strspn(node->text, "0123456789+-.eE")] == '\0';
    if (digits)
        *value = strtod(node->text, &end);
    if (!digits || end == node->text || *end != '\0')
        return node_fail(node, "%s must be a number, not '%.64s'", name, shown(node));
    if (!isfinite(*value) || *value < least || *value > most)
        return node_fail(node, "%s %.64s is not within %g..%g", name, node->text, least, most);
    return STATUS_OK;
}

enum status read_text(const struct node *node, const char *name, char *text, size_t size) {
    if (node->kind != NODE_SCALAR)
        return node_fail(node, "%s must be a text, not %s", name, shown(node));
    size_t length = strlen(node->text);
    if (length >= size)
        return node_fail(node, "%s is longer than %zu bytes", name, size - 1);
    memcpy(text, node->text, length + 1);
    return STATUS_OK;
}

enum status read_word(const struct node *node, const char *name, const char *const *words,
                      int *index) {
    char all[256] = "";
    for (int i = 0; words[i] != NULL; i++) {
        if (node->kind == NODE_SCALAR && strcmp(node->text, words[i]) == 0) {
            *index = i;
            return STATUS_OK;
        }
        size_t length = strlen(all);
        snprintf(all + length, sizeof all - length, "%s%s", i ? ", " : "", words[i]);
    }
    return node_fail(node, "%s must be one of %s, not '%.64s'", name, all, shown(node));
}

void write_number(double value, FILE *file) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, file);
}

/* The character at `at`, of text that libyaml found to be UTF-8, and how many bytes it takes. */
static unsigned long character_at(const char *at, int *bytes) {
    unsigned char lead = (unsigned char)*at;
    *bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned long character = *bytes == 1 ? lead : lead & (0x7fu >> *bytes);
    for (int i = 1; i < *bytes; i++)
        character = character << 6 | ((unsigned char)at[i] & 0x3f);
    return character;
}

/* YAML refuses these when they are not escaped, or folds them as breaks of a line. */
static bool must_be_escaped(unsigned long character) {
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029 || character == 0xfeff || character == 0xfffe || character == 0xffff;
}

void write_text(const char *text, FILE *file) {
    fputc('"', file);
    for (int bytes; *text != '\0'; text += bytes) {
        unsigned long character = character_at(text, &bytes);
        if (must_be_escaped(character))
            fprintf(file, "\\u%04lx", character);
        else if (character == '"' || character == '\\')
            fprintf(file, "\\%c", (int)character);
        else
            fwrite(text, 1, (size_t)bytes, file);
    }
    fputc('"', file);
}
