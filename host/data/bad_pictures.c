#include "data/bad_pictures.h"
#include "support/file.h"
#include "support/memory.h"

#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bad_pictures {
    int most;
    pthread_mutex_t lock; /* of what follows */
    struct sentences list;
    void *known; /* a tree of the hashes of all sentences: the list keeps the first ones only */
};

enum status bad_pictures_create(struct bad_pictures **bad, int most) {
    TRY(allocate(bad, 1, sizeof **bad, "the list of bad pictures"));
    (*bad)->most = most;
    pthread_mutex_init(&(*bad)->lock, NULL);
    return STATUS_OK;
}

void bad_pictures_release(struct bad_pictures *bad) {
    if (bad == NULL)
        return;
    pthread_mutex_destroy(&bad->lock);
    sentences_release(&bad->list);
    tdestroy(bad->known, free);
    free(bad);
}

static enum status check(const struct bad_pictures *bad, int count, const char *last) {
    if (bad->most < 0 || count <= bad->most)
        return STATUS_OK;
    if (bad->most == 0)
        return fail(STATUS_USAGE,
                    "%s (`taper data verify` finds all such pictures, "
                    "data.max_bad_images leaves some out)",
                    last);
    return fail(STATUS_USAGE, "%d bad pictures are more than data.max_bad_images %d; the last: %s",
                count, bad->most, last);
}

static int compare(const void *a, const void *b) {
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Also notes it; without memory a sentence is new each time. */
static bool is_known(struct bad_pictures *bad, const char *sentence) {
    uint64_t *hash = malloc(sizeof *hash);
    if (hash == NULL)
        return false;
    *hash = hash_bytes(HASH_START, sentence, strlen(sentence));
    uint64_t *const *found = tsearch(hash, &bad->known, compare);
    bool known = found != NULL && *found != hash;
    if (found == NULL || known)
        free(hash);
    return known;
}

enum status bad_pictures_note(struct bad_pictures *bad, const char *sentence) {
    pthread_mutex_lock(&bad->lock);
    bool known = is_known(bad, sentence);
    if (!known)
        sentences_add(&bad->list, "%s", sentence);
    int count = bad->list.count;
    pthread_mutex_unlock(&bad->lock);
    return known ? STATUS_OK : check(bad, count, sentence);
}

enum status bad_pictures_add(struct bad_pictures *bad) {
    char last[1024];
    snprintf(last, sizeof last, "%s", failure());
    failure_clear();
    return bad_pictures_note(bad, last);
}

enum status bad_pictures_join(struct bad_pictures *bad, const struct sentences *faults) {
    if (faults->count == 0)
        return STATUS_OK;
    pthread_mutex_lock(&bad->lock);
    sentences_join(&bad->list, faults);
    int count = bad->list.count;
    pthread_mutex_unlock(&bad->lock);
    return check(bad, count, faults->kept > 0 ? sentences_next(faults, NULL) : "no memory for it");
}

/* ends[rank]: of a rank's sentences, in bytes. */
static enum status gather_ends(const struct bad_pictures *bad, struct cluster *cluster,
                               size_t *ends, size_t *number_ends) {
    int ranks = cluster_ranks(cluster);
    for (int rank = 0; rank < ranks; rank++)
        number_ends[rank] = (size_t)(rank + 1) * sizeof *ends;
    ends[cluster_rank(cluster)] = bad->list.size;
    TRY(cluster_gather(cluster, ends, number_ends));
    for (int rank = 1; rank < ranks; rank++)
        ends[rank] += ends[rank - 1];
    return STATUS_OK;
}

static enum status gather_text(const struct bad_pictures *bad, struct cluster *cluster,
                               const size_t *ends, char **text) {
    int own = cluster_rank(cluster);
    TRY(allocate(text, ends[cluster_ranks(cluster) - 1] + 1, 1, "the list of bad pictures"));
    if (bad->list.size > 0)
        memcpy(*text + ends[own] - bad->list.size, bad->list.text, bad->list.size);
    return cluster_gather(cluster, *text, ends);
}

enum status bad_pictures_share(struct bad_pictures *bad, struct cluster *cluster) {
    size_t ranks = (size_t)cluster_ranks(cluster), *ends;
    char *text = NULL;
    enum status status;
    if (bad == NULL || ranks == 1)
        return STATUS_OK;
    TRY(allocate(&ends, 2 * ranks, sizeof *ends, "the list of bad pictures"));
    TRY_CLEANUP(gather_ends(bad, cluster, ends, ends + ranks));
    TRY_CLEANUP(gather_text(bad, cluster, ends, &text));
    for (const char *next = text; next < text + ends[ranks - 1]; next += strlen(next) + 1)
        TRY_CLEANUP(bad_pictures_note(bad, next));
done:
    free(text);
    free(ends);
    return status;
}

int bad_pictures_count(struct bad_pictures *bad) {
    pthread_mutex_lock(&bad->lock);
    int count = bad->list.count;
    pthread_mutex_unlock(&bad->lock);
    return count;
}

const struct sentences *bad_pictures_list(const struct bad_pictures *bad) {
    return &bad->list;
}
