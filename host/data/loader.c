#include "data/loader.h"
#include "data/augment.h"
#include "support/memory.h"
#include "support/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING = 3 };

/* A batch in the ring: `step` says which, -1 none. */
struct slot {
    int64_t step;
    uint8_t *pictures;
    int *labels;
};

struct loader {
    struct loader_options options;
    struct augment augment;
    int batches;
    struct slot slots[RING];
    int *order; /* of the epoch that the thread is in */
    int64_t order_epoch;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what follows, and slot.step */
    pthread_cond_t changed;
    int64_t wanted; /* the step that the caller is at; the thread fills it and those behind it */
    bool stop;
    double waited;
};

static void shuffle_epoch(struct loader *loader, int64_t epoch) {
    if (loader->order_epoch == epoch)
        return;
    memcpy(loader->order, loader->options.indices, (size_t)loader->options.count * sizeof(int));
    struct random_sequence random =
        random_sequence(loader->options.seed, RANDOM_SHUFFLE, (uint64_t)epoch, 0);
    random_shuffle(&random, loader->order, loader->options.count);
    loader->order_epoch = epoch;
}

static void fill(struct loader *loader, struct slot *slot, int64_t step) {
    const struct loader_options *options = &loader->options;
    const struct pictures *pictures = options->pictures;
    int64_t epoch = step / loader->batches, batch = step % loader->batches;
    size_t bytes = (size_t)pictures->height * pictures->width * pictures->channels;
    shuffle_epoch(loader, epoch);
    for (int i = 0; i < options->batch_images; i++) {
        int image = loader->order[batch * options->batch_images + i];
        augment_picture(&loader->augment, pictures, image, (uint64_t)epoch,
                        slot->pictures + (size_t)i * bytes);
        slot->labels[i] = pictures->labels[image];
    }
}

/* A step lives in slot step mod RING. Returns the first step from `wanted` on that is missing, or
 * -1. The slot of the step before `wanted` may still be read by the caller: it is left alone. */
static int64_t missing_step(const struct loader *loader) {
    for (int64_t step = loader->wanted; step < loader->wanted + RING - 1; step++)
        if (loader->slots[step % RING].step != step)
            return step;
    return -1;
}

static void *work(void *context) {
    struct loader *loader = context;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        int64_t step = loader->wanted < 0 ? -1 : missing_step(loader);
        if (step < 0) {
            pthread_cond_wait(&loader->changed, &loader->lock);
            continue;
        }
        struct slot *slot = &loader->slots[step % RING];
        slot->step = -1;
        pthread_mutex_unlock(&loader->lock);
        fill(loader, slot, step);
        pthread_mutex_lock(&loader->lock);
        slot->step = step;
        pthread_cond_broadcast(&loader->changed);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static enum status create(struct loader *loader) {
    const struct loader_options *options = &loader->options;
    const struct pictures *pictures = options->pictures;
    size_t bytes = (size_t)pictures->height * pictures->width * pictures->channels;
    TRY(allocate(&loader->order, (size_t)options->count, sizeof(int), "the order of an epoch"));
    for (int i = 0; i < RING; i++) {
        loader->slots[i].step = -1;
        TRY(allocate(&loader->slots[i].pictures, (size_t)options->batch_images, bytes, "a batch"));
        TRY(allocate(&loader->slots[i].labels, (size_t)options->batch_images, sizeof(int),
                     "a batch"));
    }
    if (pthread_create(&loader->thread, NULL, work, loader) != 0)
        return fail(STATUS_FAILED, "the loader's thread could not be started");
    loader->started = true;
    return STATUS_OK;
}

enum status loader_create(struct loader **created, const struct loader_options *options) {
    if (options->batch_images < 1 || options->batch_images > options->count)
        return fail(STATUS_USAGE, "a batch of %d images cannot be drawn from %d",
                    options->batch_images, options->count);
    struct loader *loader;
    TRY(allocate(&loader, 1, sizeof *loader, "the loader"));
    loader->options = *options;
    loader->augment = (struct augment){
        .crop_padding = options->crop_padding, .flip = options->flip, .seed = options->seed};
    loader->batches = options->count / options->batch_images;
    loader->order_epoch = -1;
    loader->wanted = -1;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->changed, NULL);
    enum status status = create(loader);
    if (status != STATUS_OK) {
        loader_release(loader);
        return status;
    }
    *created = loader;
    return STATUS_OK;
}

void loader_release(struct loader *loader) {
    if (loader == NULL)
        return;
    if (loader->started) {
        pthread_mutex_lock(&loader->lock);
        loader->stop = true;
        pthread_cond_broadcast(&loader->changed);
        pthread_mutex_unlock(&loader->lock);
        pthread_join(loader->thread, NULL);
    }
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->changed);
    for (int i = 0; i < RING; i++) {
        free(loader->slots[i].pictures);
        free(loader->slots[i].labels);
    }
    free(loader->order);
    free(loader);
}

int loader_batches(const struct loader *loader) {
    return loader->batches;
}

static double clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum status loader_batch(struct loader *loader, int64_t step, struct loaded_batch *batch) {
    struct slot *slot = &loader->slots[step % RING];
    pthread_mutex_lock(&loader->lock);
    loader->wanted = step;
    pthread_cond_broadcast(&loader->changed);
    if (slot->step != step) {
        double start = clock_seconds();
        while (slot->step != step)
            pthread_cond_wait(&loader->changed, &loader->lock);
        loader->waited += clock_seconds() - start;
    }
    pthread_mutex_unlock(&loader->lock);
    *batch = (struct loaded_batch){.pictures = slot->pictures, .labels = slot->labels};
    return STATUS_OK;
}

double loader_waited(const struct loader *loader) {
    return loader->waited;
}
