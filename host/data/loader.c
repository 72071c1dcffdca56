#include "data/loader.h"
#include "support/memory.h"
#include "support/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One batch is with the caller, three are ready or being made. */
enum { SLOTS = 4, SENTENCE = 512 };

/* A place for one batch. Threads take its pictures one by one from `next`, without the lock. */
struct slot {
    uint8_t *pictures;
    int *labels;
    int *images;

    int64_t step; /* -1: holds no batch */
    const struct picture_feed *feed;
    atomic_int next;
    int threads; /* that work on it */
    int made;    /* pictures, by threads that have left it */
    int failed;  /* the first picture that could not be made, with its error */
    enum status status;
    char sentence[SENTENCE];
};

/* The threads fill the slots of the steps asked, asked + 1 ... asked + SLOTS - 1; step s has slot
 * s % SLOTS. So they never touch the slot that the caller uses, which is that of `asked`, until
 * another step is asked. */
struct loader {
    struct loader_options options;
    int batches;
    double waited; /* the caller's */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
    int64_t asked;
    int64_t epoch; /* whose order `order` is */
    int *order;
    struct slot slots[SLOTS];

    struct worker *workers; /* [options.threads] */
};

struct worker {
    struct loader *loader;
    void *work; /* the feed's */
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

static const struct picture_feed *feed_of(const struct loader *loader, int64_t step) {
    const struct loader_options *options = &loader->options;
    return options->feed_of == NULL
               ? &options->feed
               : options->feed_of(options->context, step, (double)step / loader->batches);
}

static void begin_batch(struct loader *loader, struct slot *slot, int64_t step) {
    const struct loader_options *options = &loader->options;
    order_epoch(loader, step / loader->batches);
    memcpy(slot->images,
           loader->order + step % loader->batches * (int64_t)options->batch_images +
               options->own_first,
           (size_t)options->own_images * sizeof *slot->images);
    slot->step = step;
    slot->feed = feed_of(loader, step);
    slot->made = 0;
    slot->failed = options->own_images;
    slot->status = STATUS_OK;
    atomic_store(&slot->next, 0);
}

/* What is no longer asked for need not be finished. */
static void abandon(const struct loader *loader, struct slot *slot) {
    slot->step = -1;
    atomic_store(&slot->next, loader->options.own_images);
}

/* The slot of the first step of the window that has pictures left to make; NULL: none. */
static struct slot *slot_with_work(struct loader *loader) {
    for (int64_t step = loader->asked; step < loader->asked + SLOTS; step++) {
        struct slot *slot = &loader->slots[step % SLOTS];
        if (slot->step != step) {
            abandon(loader, slot);
            if (slot->threads > 0)
                continue;
            begin_batch(loader, slot, step);
        }
        if (atomic_load(&slot->next) < loader->options.own_images)
            return slot;
    }
    return NULL;
}

static bool is_ready(const struct loader *loader, const struct slot *slot, int64_t step) {
    return slot->step == step && slot->threads == 0 && slot->made == loader->options.own_images;
}

static void keep_failure(struct slot *slot, int picture, enum status status) {
    if (picture < slot->failed) {
        slot->failed = picture;
        slot->status = status;
        snprintf(slot->sentence, SENTENCE, "%s", failure());
    }
    failure_clear();
}

/* Called with the lock, which it gives up while it makes pictures. */
static void make_pictures(struct loader *loader, struct slot *slot, void *work) {
    const struct loader_options *options = &loader->options;
    const struct picture_feed *feed = slot->feed;
    struct picture_view view = {.seed = options->seed,
                                .epoch = (uint64_t)(slot->step / loader->batches)};
    int made = 0;
    slot->threads++;
    pthread_mutex_unlock(&loader->lock);
    for (int i; (i = atomic_fetch_add(&slot->next, 1)) < options->own_images; made++) {
        view.image = slot->images[i];
        enum status status =
            feed->make(feed->source, work, &view, slot->pictures + (size_t)i * feed->picture_bytes,
                       &slot->labels[i]);
        if (status != STATUS_OK) {
            pthread_mutex_lock(&loader->lock);
            keep_failure(slot, i, status);
            pthread_mutex_unlock(&loader->lock);
        }
    }
    pthread_mutex_lock(&loader->lock);
    slot->threads--;
    slot->made += made;
    pthread_cond_broadcast(&loader->changed);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stopping) {
        struct slot *slot = slot_with_work(loader);
        if (slot == NULL)
            pthread_cond_wait(&loader->changed, &loader->lock);
        else
            make_pictures(loader, slot, worker->work);
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
    if (!is_ready(loader, slot, step)) {
        double start = seconds();
        while (!is_ready(loader, slot, step))
            pthread_cond_wait(&loader->changed, &loader->lock);
        loader->waited += seconds() - start;
    }
    pthread_mutex_unlock(&loader->lock);
    *batch = (struct loaded_batch){slot->pictures, slot->labels};
    return slot->status == STATUS_OK ? STATUS_OK : fail(slot->status, "%s", slot->sentence);
}

static enum status take_shared(const struct loader *loader, void *pointer, size_t bytes) {
    const struct memory *memory = loader->options.memory;
    return memory ? memory->take_shared(pointer, bytes, "a batch of pictures")
                  : allocate(pointer, bytes, 1, "a batch of pictures");
}

static void give_back_shared(const struct loader *loader, void *shared) {
    if (loader->options.memory)
        loader->options.memory->give_back_shared(shared);
    else
        free(shared);
}

static enum status take_memory(struct loader *loader) {
    const struct loader_options *options = &loader->options;
    size_t images = (size_t)options->own_images;
    TRY(allocate(&loader->order, (size_t)options->count, sizeof *loader->order,
                 "the order of the images"));
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &loader->slots[i];
        slot->step = -1;
        TRY(take_shared(loader, &slot->pictures, images * options->feed.picture_bytes));
        TRY(take_shared(loader, &slot->labels, images * sizeof *slot->labels));
        TRY(allocate(&slot->images, images, sizeof *slot->images, "a batch of pictures"));
    }
    return STATUS_OK;
}

static enum status start_worker(struct loader *loader, struct worker *worker) {
    const struct picture_feed *feed = &loader->options.feed;
    worker->loader = loader;
    if (feed->begin)
        TRY(feed->begin(feed->source, &worker->work));
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (error != 0)
        return fail(STATUS_FAILED, "cannot start a thread of the loader: %s", strerror(error));
    worker->started = true;
    return STATUS_OK;
}

static enum status start(struct loader *loader) {
    TRY(take_memory(loader));
    TRY(allocate(&loader->workers, (size_t)loader->options.threads, sizeof *loader->workers,
                 "the loader's threads"));
    for (int i = 0; i < loader->options.threads; i++)
        TRY(start_worker(loader, &loader->workers[i]));
    return STATUS_OK;
}

enum status loader_check(const struct loader_options *options) {
    if (options->batch_images < 1 || options->batch_images > options->count)
        return fail(STATUS_USAGE, "a batch of %d images cannot be made of %d training images",
                    options->batch_images, options->count);
    return STATUS_OK;
}

enum status loader_create(struct loader **loader, const struct loader_options *options) {
    struct loader *made;
    *loader = NULL;
    TRY(loader_check(options));
    TRY(allocate(&made, 1, sizeof *made, "the loader"));
    made->options = *options;
    if (made->options.own_images == 0)
        made->options.own_images = options->batch_images;
    if (made->options.threads < 1)
        made->options.threads = 1;
    made->batches = options->count / options->batch_images;
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

static void stop_workers(struct loader *loader) {
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    for (int i = 0; i < SLOTS; i++)
        abandon(loader, &loader->slots[i]);
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; loader->workers && i < loader->options.threads; i++) {
        struct worker *worker = &loader->workers[i];
        if (worker->started)
            pthread_join(worker->thread, NULL);
        if (loader->options.feed.end)
            loader->options.feed.end(worker->work);
    }
}

void loader_release(struct loader *loader) {
    if (loader == NULL)
        return;
    stop_workers(loader);
    for (int i = 0; i < SLOTS; i++) {
        give_back_shared(loader, loader->slots[i].pictures);
        give_back_shared(loader, loader->slots[i].labels);
        free(loader->slots[i].images);
    }
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader->workers);
    free(loader->order);
    free(loader);
}

int loader_batches(const struct loader *loader) {
    return loader->batches;
}

double loader_waited(const struct loader *loader) {
    return loader->waited;
}
