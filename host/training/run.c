#include "training/run.h"
#include "data/holdout.h"
#include "support/file.h"

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
    if (cluster_ranks(run->cluster) > 1) {
        if (config->device == DEVICE_CUDA)
            return fail(STATUS_USAGE, "several ranks work on the CPU only, not with --device cuda");
        run->ops = ops_cpu();
        return log_say(run->log, "device: cpu (%d ranks)", cluster_ranks(run->cluster));
    }
    TRY(backend_choose(config->device, config->backend, config->precision, &run->ops, reason));
    if (reason[0] != '\0')
        return log_say(run->log, "device: cpu (%s)", reason);
    return log_say(run->log, "device: %s", run->ops->name);
}

void run_begin(struct run *run, const struct config *config) {
    *run = (struct run){.config = *config, .lock = -1};
    snprintf(run->folder, sizeof run->folder, "%s", config->out);
}

static enum status open_folder(struct run *run) {
    char path[RUN_PATH];
    if (!cluster_first(run->cluster))
        return times_open(&run->times, "");
    TRY(lock_folder(run));
    remove_temporary_files(run);
    TRY(log_open(&run->log, run_path(run, "log.jsonl", path)));
    if (cluster_ranks(run->cluster) > 1)
        log_no_terminal(run->log);
    return times_open(&run->times, run_path(run, "times.json", path));
}

/* Ranks of a host share its cores, unless their launcher has dealt these out. */
static int own_threads(const struct run *run) {
    int threads = run_threads(&run->config), local = cluster_local_ranks(run->cluster);
    if (run->config.threads > 0 || threads < (int)sysconf(_SC_NPROCESSORS_ONLN))
        return threads;
    return threads > local ? threads / local : 1;
}

enum status run_open(struct run *run) {
    TRY(open_folder(run));
    TRY(choose_backend(run));
    return pool_create(&run->pool, own_threads(run));
}

enum status run_decide(const struct run *run,
                       enum status (*ask)(const struct run *run, bool *answer), bool *answer) {
    *answer = false;
    if (cluster_first(run->cluster))
        TRY(ask(run, answer));
    return cluster_broadcast(run->cluster, answer, sizeof *answer);
}

static void say_bad_pictures(struct run *run, const struct bad_pictures *bad, int from) {
    const char *sentence = NULL;
    if (bad == NULL || run->log == NULL)
        return;
    for (int i = 0; (sentence = sentences_next(bad_pictures_list(bad), sentence)) != NULL; i++)
        if (i >= from)
            log_say_event(run->log, "bad picture", sentence);
}

void run_say_bad_pictures(struct run *run) {
    if (run->sets.bad == NULL)
        return;
    say_bad_pictures(run, run->sets.bad, run->said);
    run->said = bad_pictures_count(run->sets.bad);
}

void run_close(struct run *run) {
    run_say_bad_pictures(run); /* of a step that failed */
    picture_sets_release(&run->sets);
    pictures_release(&run->test);
    class_list_release(&run->classes);
    pool_release(run->pool);
    times_close(&run->times);
    log_close(run->log);
    if (run->lock >= 0)
        close(run->lock);
    config_release(&run->config);
}

/* Rank 0 alone shows them. */
static enum status keep_classes(struct run *run, const struct picture_source *source) {
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    class_list_release(&run->classes);
    TRY(class_names_keep(run->folder, source));
    return class_names_read(&run->classes, &run->config.data, run->folder);
}

struct class_names run_class_names(const struct run *run) {
    return (struct class_names){&run->config.data, &run->classes};
}

enum status run_load_pictures(struct run *run) {
    struct picture_sets *sets = &run->sets;
    char path[RUN_PATH];
    if (sets->split.train_count > 0)
        return STATUS_OK;
    TRY(picture_sets_open(sets, &run->config, run->pool));
    if (sets->source == NULL)
        return STATUS_OK;
    TRY(keep_classes(run, sets->source));
    TRY(picture_sets_decode(sets, 0, run->pool));
    run_say_bad_pictures(run);
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    return holdout_write(run_path(run, "holdout.txt", path), sets->source, &sets->split);
}

/* source, bad: NULL where pictures are in memory; the caller's to release also on failure. */
static enum status open_test_pictures(struct run *run, struct picture_source **source,
                                      struct bad_pictures **bad) {
    *source = NULL;
    *bad = NULL;
    if (data_in_memory(&run->config.data))
        return STATUS_OK;
    TRY(picture_sets_open_test(source, bad, &run->config, run->pool));
    return keep_classes(run, *source);
}

enum status run_check_test_pictures(struct run *run) {
    struct picture_source *source;
    struct bad_pictures *bad;
    enum status status = open_test_pictures(run, &source, &bad);
    picture_source_close(source);
    bad_pictures_release(bad);
    return status;
}

enum status run_test_pictures(struct run *run, const struct network *found) {
    struct picture_source *source;
    struct bad_pictures *bad;
    if (run->test.count > 0)
        return STATUS_OK;
    enum status status = open_test_pictures(run, &source, &bad);
    if (status == STATUS_OK)
        status = picture_sets_test(&run->test, source, bad, &run->config,
                                   network_resolution(found, 0), run->pool);
    say_bad_pictures(run, bad, 0);
    picture_source_close(source);
    bad_pictures_release(bad);
    if (status != STATUS_OK)
        pictures_release(&run->test);
    return status;
}
