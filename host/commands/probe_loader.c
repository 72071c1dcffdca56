#include "commands/probe_loader.h"
#include "commands/synthetic_feed.h"
#include "report/log.h"
#include "support/memory.h"
#include "training/picture_sets.h"

#include <stdio.h>
#include <stdlib.h>

/* The batches before the clock starts fill the loader's places. */
enum { BATCH = 32, WARM_BATCHES = 8, SIZES = 1000 };
static const double SECONDS = 2;

static enum status time_batches(struct loader *loader, double *images_per_second, int batch) {
    struct loaded_batch loaded;
    double start = 0, seconds = 0;
    int64_t step = 0;
    for (; step <= WARM_BATCHES || seconds < SECONDS; step++) {
        TRY(loader_batch(loader, step, &loaded));
        if (step == WARM_BATCHES)
            start = log_seconds();
        seconds = log_seconds() - start;
    }
    *images_per_second = (double)batch * (double)(step - 1 - WARM_BATCHES) / seconds;
    return STATUS_OK;
}

static enum status time_feed(struct loader_probe *probe, const struct config *config,
                             const struct ops *ops, const struct picture_feed *feed,
                             const int *numbers, int count) {
    struct loader *loader;
    const struct loader_options options = {.feed = *feed,
                                           .indices = numbers,
                                           .count = count,
                                           .batch_images = count < BATCH ? count : BATCH,
                                           .threads = probe->threads,
                                           .seed = config->seed,
                                           .memory = ops->memory};
    TRY(loader_create(&loader, &options));
    enum status status = time_batches(loader, &probe->images_per_second, options.batch_images);
    loader_release(loader);
    return status;
}

/* Of pictures all over the source: a million files need not be asked. */
static double mean_size(const struct picture_source *source) {
    int count = picture_source_count(source), asked = count < SIZES ? count : SIZES, told = 0;
    double bytes = 0;
    for (int i = 0; i < asked; i++) {
        uint64_t size;
        if (picture_source_size(source, (int)((int64_t)count * i / asked), &size) != STATUS_OK) {
            failure_clear(); /* a bad picture: reading says so */
            continue;
        }
        bytes += (double)size;
        told++;
    }
    return told > 0 ? bytes / told : 0;
}

static enum status probe_pictures(struct loader_probe *probe, const struct config *config,
                                  const struct ops *ops, const struct picture_sets *sets) {
    probe->threads = sets->threads;
    probe->train_images = sets->split.train_count;
    if (sets->source != NULL) {
        probe->pictures = picture_source_count(sets->source);
        probe->file_bytes = mean_size(sets->source);
    }
    return time_feed(probe, config, ops, &sets->feeds[0], sets->split.train,
                     sets->split.train_count);
}

static enum status probe_synthetic(struct loader_probe *probe, const struct config *config,
                                   const struct ops *ops, struct pool *pool) {
    struct synthetic_pictures pictures = {0};
    int numbers[SYNTHETIC_PICTURES];
    enum status status;
    for (int i = 0; i < SYNTHETIC_PICTURES; i++)
        numbers[i] = i;
    probe->threads = picture_sets_decoders(config, pool);
    pictures.recipe = picture_sets_recipe(config, network_resolution(&config->network, 0));
    TRY_CLEANUP(synthetic_pictures_make(&pictures));
    probe->file_bytes = synthetic_pictures_mean(&pictures);
    const struct picture_feed feed = synthetic_feed(&pictures);
    TRY_CLEANUP(time_feed(probe, config, ops, &feed, numbers, SYNTHETIC_PICTURES));
done:
    synthetic_pictures_release(&pictures);
    return status;
}

enum status loader_probe_run(struct loader_probe *probe, const struct config *config,
                             const struct ops *ops, struct pool *pool) {
    struct picture_sets sets = {0};
    *probe = (struct loader_probe){0};
    enum status status = picture_sets_open(&sets, config, pool);
    bool missing = status == STATUS_USAGE && sets.source == NULL && sets.pictures.count == 0;
    if (status == STATUS_OK)
        status = probe_pictures(probe, config, ops, &sets);
    picture_sets_release(&sets);
    if (!missing)
        return status;
    snprintf(probe->missing, sizeof probe->missing, "%s", failure());
    failure_clear();
    return data_in_memory(&config->data) ? STATUS_OK : probe_synthetic(probe, config, ops, pool);
}
