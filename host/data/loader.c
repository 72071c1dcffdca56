#include "data/loader.h"
#include "data/augment.h"
#include "support/memory.h"
#include "support/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One batch is with the caller, two are ready or being made. */
enum { SLOTS = 3 };

struct slot {
    int64_t step; /* -1: holds no batch */
    uint8_t *pictures;
    int *labels;
};

/* The thread fills the slots of the steps asked, asked + 1 ... asked + SLOTS - 1; step s has slot
 * s % SLOTS. So it never touches the slot that the caller uses, which is that of `asked`, until
 * another step is asked. */
struct loader {
    struct loader_options options;
    struct augment augment;
    int batches;
    size_t picture_bytes;
    double waited; /* the caller's */

    int64_t epoch; /* the thread's: whose order `order` is */
    int *order;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
    int64_t asked;
    struct slot slots[SLOTS];

    bool started;
    pthread_t thread;
};

static void order_epoch(struct loader *loader, int64_t epoch) {
    if (loader->epoch == epoch)
        return;
    struct random_sequence sequence =
        random_sequence(loader->options.seed, RANDOM_SHUFFLE, (uint64_t)epoch, 0);
    memcpy(loader->order, loader->options.indices,
           (size_t)loader->options.count * sizeof *loader->order);
    random_shuffle(&sequence, loader->order, loader->options.count);
    loader->epoch = epoch;
}

static void fill(struct loader *loader, struct slot *slot, int64_t step) {
    const struct pictures *pictures = loader->options.pictures;
    int64_t epoch = step / loader->batches;
    order_epoch(loader, epoch);
    const int *images =
        loader->order + step % loader->batches * (int64_t)loader->options.batch_images;
    for (int i = 0; i < loader->options.batch_images; i++) {
        augment_picture(&loader->augment, pictures, images[i], (uint64_t)epoch,
                        slot->pictures + (size_t)i * loader->picture_bytes);
        slot->labels[i] = pictures->labels[images[i]];
    }
}

/* The first step of the window that has no batch yet, or -1. */
static int64_t next_to_fill(const struct loader *loader) {
    for (int64_t step = loader->asked; step < loader->asked + SLOTS; step++)
        if (loader->slots[step % SLOTS].step != step)
            return step;
    return -1;
}

static void *loader_main(void *argument) {
    struct loader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stopping) {
        int64_t step = next_to_fill(loader);
        if (step < 0) {
            pthread_cond_wait(&loader->changed, &loader->lock);
            continue;
        }
        struct slot *slot = &loader->slots[step % SLOTS];
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

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum status loader_batch(struct loader *loader, int64_t step, struct loaded_batch *batch) {
    if (step < 0)
        return fail(STATUS_FAILED, "there is no batch %lld", (long long)step);
    struct slot *slot = &loader->slots[step % SLOTS];
    pthread_mutex_lock(&loader->lock);
    loader->asked = step;
    pthread_cond_broadcast(&loader->changed);
    if (slot->step != step) {
        double start = seconds();
        while (slot->step != step)
            pthread_cond_wait(&loader->changed, &loader->lock);
        loader->waited += seconds() - start;
    }
    pthread_mutex_unlock(&loader->lock);
    *batch = (struct loaded_batch){slot->pictures, slot->labels};
    return STATUS_OK;
}

static enum status take_slot(const struct loader *loader, void *pointer, size_t bytes) {
    const struct memory *memory = loader->options.memory;
    return memory ? memory->take_shared(pointer, bytes, "a batch of pictures")
                  : allocate(pointer, bytes, 1, "a batch of pictures");
}

static void give_back_slot(const struct loader *loader, void *slot) {
    if (loader->options.memory)
        loader->options.memory->give_back_shared(slot);
    else
        free(slot);
}

static enum status take_memory(struct loader *loader) {
    size_t images = (size_t)loader->options.batch_images;
    TRY(allocate(&loader->order, (size_t)loader->options.count, sizeof *loader->order,
                 "the order of the images"));
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &loader->slots[i];
        slot->step = -1;
        TRY(take_slot(loader, &slot->pictures, images * loader->picture_bytes));
        TRY(take_slot(loader, &slot->labels, images * sizeof *slot->labels));
    }
    return STATUS_OK;
}

static enum status start(struct loader *loader) {
    TRY(take_memory(loader));
    int error = pthread_create(&loader->thread, NULL, loader_main, loader);
    if (error != 0)
        return fail(STATUS_FAILED, "cannot start the loader's thread: %s", strerror(error));
    loader->started = true;
    return STATUS_OK;
}

enum status loader_create(struct loader **loader, const struct loader_options *options) {
    const struct pictures *pictures = options->pictures;
    struct loader *made;
    *loader = NULL;
    if (options->batch_images < 1 || options->batch_images > options->count)
        return fail(STATUS_USAGE, "a batch of %d images cannot be made of %d training images",
                    options->batch_images, options->count);
    TRY(allocate(&made, 1, sizeof *made, "the loader"));
    made->options = *options;
    made->augment = (struct augment){options->seed, options->crop_padding, options->flip};
    made->batches = options->count / options->batch_images;
    made->picture_bytes =
        (size_t)pictures->height * (size_t)pictures->width * (size_t)pictures->channels;
    made->epoch = -1;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    enum status status = start(made);
    if (status == STATUS_OK)
        *loader = made;
    else
        loader_release(made);
    return status;
}

void loader_release(struct loader *loader) {
    if (loader == NULL)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    if (loader->started)
        pthread_join(loader->thread, NULL);
    for (int i = 0; i < SLOTS; i++) {
        give_back_slot(loader, loader->slots[i].pictures);
        give_back_slot(loader, loader->slots[i].labels);
    }
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader->order);
    free(loader);
}

int loader_batches(const struct loader *loader) {
    return loader->batches;
}

double loader_waited(const struct loader *loader) {
    return loader->waited;
}
