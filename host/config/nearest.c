#include "config/keys.h"

#include <string.h>

enum { LONGEST = 64 };

/* Levenshtein's edit distance of the first LONGEST letters. */
static int distance(const char *a, const char *b) {
    int row[LONGEST + 1];
    int rows = (int)strnlen(a, LONGEST), columns = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= columns; j++)
        row[j] = j;
    for (int i = 1; i <= rows; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= columns; j++) {
            int replaced = diagonal + (a[i - 1] != b[j - 1]);
            int shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[columns];
}

const char *nearest(const char *word, const char *const *candidates, int count) {
    const char *best = "";
    int least = 2 * LONGEST;
    for (int i = 0; i < count; i++) {
        int edits = distance(word, candidates[i]);
        if (edits < least) {
            least = edits;
            best = candidates[i];
        }
    }
    return best;
}

enum status check_known(const struct node *map, const char *const *names, int count) {
    for (const struct node *entry = map->first; entry != NULL; entry = entry->next) {
        bool known = false;
        for (int i = 0; i < count && !known; i++)
            known = strcmp(entry->key, names[i]) == 0;
        if (!known)
            return node_fail(entry, "unknown key '%.64s'; the nearest valid one is '%s'",
                             entry->key, nearest(entry->key, names, count));
    }
    return STATUS_OK;
}
