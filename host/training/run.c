#include "training/run.h"
#include "support/file.h"
#include "support/memory.h"
#include "support/random.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

const char *run_path(const struct run *run, const char *name, char path[RUN_PATH]) {
    snprintf(path, RUN_PATH, "%s/%s", run->folder, name);
    return path;
}

enum status run_hash(const struct run *run, enum config_step step, uint64_t *hash,
                     char text[HASH_TEXT]) {
    TRY(config_hash(&run->config, step, hash));
    snprintf(text, HASH_TEXT, "%016" PRIx64, *hash);
    return STATUS_OK;
}

static enum status lock_folder(struct run *run) {
    TRY(folder_make(run->folder));
    run->lock = open(run->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return fail(STATUS_FAILED, "cannot open folder %s: %s", run->folder, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) != 0)
        return fail(STATUS_USAGE,
                    "another process works in %s; wait for it or choose another --out",
                    run->folder);
    return STATUS_OK;
}

int run_threads(const struct config *config) {
    cpu_set_t set;
    if (config->threads > 0)
        return config->threads;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

struct pass_options run_pass_options(const struct config *config) {
    struct pass_options options = {.epsilon = (real)config->norm_epsilon};
    for (int c = 0; c < 4; c++) {
        options.mean[c] = (real)config->data.mean[c];
        options.deviation[c] = (real)config->data.deviation[c];
    }
    return options;
}

/* What a killed process was about to rename. The lock says that it does not live any more. */
static void remove_temporary_files(const struct run *run) {
    char pattern[RUN_PATH];
    glob_t found;
    if (glob(run_path(run, "*.tmp", pattern), 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

static enum status choose_backend(struct run *run) {
    char reason[BACKEND_REASON];
    const struct config *config = &run->config;
    TRY(backend_choose(config->device, config->backend, config->precision, &run->ops, reason));
    if (reason[0] != '\0')
        return log_say(run->log, "device: cpu (%s)", reason);
    return log_say(run->log, "device: %s", run->ops->name);
}

void run_begin(struct run *run, const struct config *config) {
    *run = (struct run){.config = *config, .lock = -1};
    snprintf(run->folder, sizeof run->folder, "%s", config->out);
}

enum status run_open(struct run *run) {
    char path[RUN_PATH];
    TRY(lock_folder(run));
    remove_temporary_files(run);
    TRY(log_open(&run->log, run_path(run, "log.jsonl", path)));
    TRY(times_open(&run->times, run_path(run, "times.json", path)));
    TRY(choose_backend(run));
    return pool_create(&run->pool, run_threads(&run->config));
}

void run_close(struct run *run) {
    free(run->calibration);
    free(run->scored);
    split_release(&run->split);
    pictures_release(&run->pictures);
    pool_release(run->pool);
    times_close(&run->times);
    log_close(run->log);
    if (run->lock >= 0)
        close(run->lock);
    config_release(&run->config);
}

enum status run_check_pictures(const struct run *run, const struct pictures *pictures) {
    const struct network *network = &run->config.network;
    if (pictures->height != network->height || pictures->width != network->width ||
        pictures->channels != network->channels)
        return fail(STATUS_USAGE,
                    "the network reads pictures of %dx%d with %d channels, but those of %s are "
                    "%dx%d with %d",
                    network->height, network->width, network->channels, run->config.data.folder,
                    pictures->height, pictures->width, pictures->channels);
    int beyond = pictures_beyond(pictures, network->classes);
    if (beyond >= 0)
        return fail(STATUS_USAGE, "%s: image %d has label %d, but network.classes is %d",
                    pictures->labels_file, beyond, pictures->labels[beyond], network->classes);
    return STATUS_OK;
}

/* `stream` keeps the two draws apart. */
static enum status draw(const struct run *run, const int *from, int count, int stream,
                        int **drawn) {
    TRY(allocate(drawn, (size_t)count, sizeof(int), "drawn images"));
    memcpy(*drawn, from, (size_t)count * sizeof(int));
    struct random_sequence sequence =
        random_sequence(run->config.seed, RANDOM_CALIBRATION, (uint64_t)stream, 0);
    random_shuffle(&sequence, *drawn, count);
    return STATUS_OK;
}

enum status run_load_pictures(struct run *run) {
    if (run->pictures.count > 0)
        return STATUS_OK;
    TRY(pictures_load(&run->pictures, &run->config.data, DATA_TRAIN));
    TRY(run_check_pictures(run, &run->pictures));
    run->augmented = (struct augmented_pictures){&run->pictures, run->config.data.crop_padding,
                                                 run->config.data.flip};
    TRY(split_make(&run->split, &run->pictures, &run->config.data, run->config.seed));
    TRY(draw(run, run->split.train, run->split.train_count, 0, &run->calibration));
    return draw(run, run->split.holdout, run->split.holdout_count, 1, &run->scored);
}

struct picture_feed run_training_feed(const struct run *run) {
    return augmented_feed(&run->augmented);
}

static struct image_set first(const struct run *run, const int *indices, int available,
                              int wanted) {
    int count = wanted > 0 && wanted < available ? wanted : available;
    return (struct image_set){.pictures = &run->pictures, .indices = indices, .count = count};
}

struct image_set run_calibration_images(const struct run *run) {
    return first(run, run->calibration, run->split.train_count,
                 run->config.search.calibration_images);
}

struct image_set run_scored_images(const struct run *run) {
    return first(run, run->scored, run->split.holdout_count, run->config.search.holdout_images);
}
