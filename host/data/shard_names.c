#include "data/shard_names.h"
#include "support/memory.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "{000..146}" at the start of `text`. */
struct range {
    unsigned long first, last;
    int digits;    /* of the first number */
    size_t length; /* of the range's text */
};

static bool read_range(const char *text, struct range *range) {
    char *dots, *end;
    if (text[1] < '0' || text[1] > '9')
        return false;
    range->first = strtoul(text + 1, &dots, 10);
    if (strncmp(dots, "..", 2) != 0 || dots[2] < '0' || dots[2] > '9')
        return false;
    range->last = strtoul(dots + 2, &end, 10);
    range->digits = (int)(dots - text - 1);
    range->length = (size_t)(end - text) + 1;
    return *end == '}';
}

static enum status add(struct shard_names *names, const char *path) {
    if (names->count == MOST_SHARDS)
        return fail(STATUS_USAGE, "%.200s: more than %d shards", path, MOST_SHARDS);
    if (names->count % 256 == 0) {
        char **grown;
        TRY(allocate(&grown, (size_t)names->count + 256, sizeof *grown, "the list of shards"));
        for (int i = 0; i < names->count; i++)
            grown[i] = names->paths[i];
        free(names->paths);
        names->paths = grown;
    }
    char *copy;
    TRY(allocate(&copy, strlen(path) + 1, 1, "the list of shards"));
    names->paths[names->count++] = strcpy(copy, path);
    return STATUS_OK;
}

static enum status add_matches(struct shard_names *names, const char *pattern) {
    glob_t found;
    if (strpbrk(pattern, "*?[") == NULL)
        return add(names, pattern);
    int error = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (error == GLOB_NOMATCH)
        return fail(STATUS_USAGE, "%s matches no file", pattern);
    if (error != 0)
        return fail(STATUS_FAILED, "cannot look for %s: %s", pattern,
                    error == GLOB_NOSPACE ? "no memory" : "its folder cannot be read");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < found.gl_pathc && status == STATUS_OK; i++)
        status = add(names, found.gl_pathv[i]);
    globfree(&found);
    return status;
}

/* The first range becomes its numbers, one after another; the rest is left to the next call. */
static enum status expand(struct shard_names *names, const char *pattern) {
    struct range range;
    const char *brace = strchr(pattern, '{');
    while (brace != NULL && !read_range(brace, &range))
        brace = strchr(brace + 1, '{');
    if (brace == NULL)
        return add_matches(names, pattern);
    if (range.last < range.first || range.last - range.first >= MOST_SHARDS)
        return fail(STATUS_USAGE, "%s: %.*s is no range of 1 to %d shards", pattern,
                    (int)range.length, brace, MOST_SHARDS);
    for (unsigned long n = range.first; n <= range.last; n++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%.*s%0*lu%s", (int)(brace - pattern), pattern,
                              range.digits, n, brace + range.length);
        if (length >= (int)sizeof path)
            return fail(STATUS_USAGE, "%.200s...: the name is too long", pattern);
        TRY(expand(names, path));
    }
    return STATUS_OK;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum status shard_names_find(struct shard_names *names, const char *pattern) {
    *names = (struct shard_names){0};
    enum status status = expand(names, pattern);
    if (status == STATUS_OK)
        qsort(names->paths, (size_t)names->count, sizeof *names->paths, compare);
    for (int i = 1; i < names->count && status == STATUS_OK; i++)
        if (strcmp(names->paths[i], names->paths[i - 1]) == 0)
            status = fail(STATUS_USAGE, "%s names %s twice", pattern, names->paths[i]);
    if (status != STATUS_OK)
        shard_names_release(names);
    return status;
}

void shard_names_release(struct shard_names *names) {
    for (int i = 0; i < names->count; i++)
        free(names->paths[i]);
    free(names->paths);
    *names = (struct shard_names){0};
}
