#include "training/train_found.h"
#include "export/names.h"
#include "report/format.h"
#include "support/file.h"
#include "support/memory.h"
#include "training/checkpoint.h"
#include "training/inherit.h"
#include "training/train_supernet.h"
#include "training/trainer.h"
#include "training/weights_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_YAML_BYTES = 1 << 20 };

/* Of the result; 2: tensors have the names of export/names.h. */
const char found_format[] = "taper network 2";

/* A found network on its way through this step. */
struct found {
    const char *name;
    char yaml[RUN_PATH], result[RUN_PATH], state_path[RUN_PATH];
    uint64_t hash;
    char hash_text[HASH_TEXT];
    struct network network;
    int resolution; /* of the super-network's */
    struct parameters parameters, statistics;
    struct training_state state;
    int *images; /* training + hold-out images, if both are trained on */
    struct teacher *teacher;
};

static const char *file_of(const struct run *run, const char *name, const char *ending,
                           char path[RUN_PATH]) {
    char file[128];
    snprintf(file, sizeof file, "%s.%s", name, ending);
    return run_path(run, file, path);
}

enum status found_hash(const struct config *config, const char *yaml, size_t size, uint64_t *hash) {
    TRY(config_hash(config, STEP_TRAIN, hash));
    *hash = hash_bytes(*hash, yaml, size);
    return STATUS_OK;
}

static enum status hash_found(const struct run *run, struct found *found) {
    char *text;
    size_t size;
    TRY(file_read(found->yaml, MOST_YAML_BYTES, &text, &size));
    enum status status = found_hash(&run->config, text, size, &found->hash);
    free(text);
    snprintf(found->hash_text, HASH_TEXT, "%016" PRIx64, found->hash);
    return status;
}

static enum status found_open(struct found *found, const struct run *run, const char *name) {
    *found = (struct found){.name = name};
    file_of(run, name, "yaml", found->yaml);
    file_of(run, name, "safetensors", found->result);
    file_of(run, name, "state.safetensors", found->state_path);
    TRY(hash_found(run, found));
    TRY(network_read(&found->network, found->yaml));
    found->resolution = network_find_resolution(&run->config.network, &found->network);
    if (found->resolution < 0)
        return fail(STATUS_USAGE, "%s reads pictures of %dx%d, which is no size of network.input",
                    found->yaml, found->network.height, found->network.width);
    TRY(parameters_of(&found->parameters, &found->network));
    TRY(statistics_of(&found->statistics, &found->network));
    names_timm(&found->network, &found->parameters);
    names_timm(&found->network, &found->statistics);
    return STATUS_OK;
}

static void found_close(struct found *found) {
    teacher_release(found->teacher);
    free(found->images);
    state_release(&found->state);
    parameters_release(&found->parameters);
    parameters_release(&found->statistics);
    network_release(&found->network);
}

static enum status is_done(const struct found *found, bool *done) {
    char theirs[64];
    TRY(weights_metadata(found->result, found_format, "config_hash", theirs, sizeof theirs));
    *done = strcmp(theirs, found->hash_text) == 0;
    return STATUS_OK;
}

/* Rank 0 knows. */
static enum status decide(const struct run *run, const struct found *found, bool *done) {
    if (cluster_first(run->cluster))
        TRY(is_done(found, done));
    return cluster_broadcast(run->cluster, done, sizeof *done);
}

/* Fresh weights differ from the super-network's first ones, and so does the order of the images. */
static uint64_t own_seed(const struct run *run) {
    uint64_t asked = run->config.train.seed;
    return asked > 0 ? asked : run->config.seed + 1;
}

static enum status begin_state(const struct run *run, struct found *found) {
    struct training_state *state = &found->state;
    TRY(state_create(state, &run->config.train.training, found->parameters.size,
                     found->statistics.size));
    const char *init = run->config.train.init;
    if (init[0] != '\0') {
        TRY(weights_read(init, &found->parameters, state->weights, &found->statistics,
                         state->running));
    } else if (run->config.train.inherit) {
        TRY(inherit(run, &found->network, found->resolution, &found->parameters, state->weights,
                    state->running));
    } else {
        parameters_initialise(&found->parameters, own_seed(run), state->weights);
        parameters_initialise(&found->statistics, own_seed(run), state->running);
    }
    state_begin(state);
    return STATUS_OK;
}

static enum status create_teacher(const struct run *run, struct found *found) {
    const struct train_config *config = &run->config.train;
    struct parameters parameters;
    real *weights = NULL;
    enum status status;
    if (config->distill == 0)
        return STATUS_OK;
    struct pass_options options = run_pass_options(&run->config);
    options.images = config->training.batch_images;
    TRY(parameters_of(&parameters, &run->config.network));
    TRY_CLEANUP(allocate(&weights, parameters.size + READ_SLACK, sizeof(real), "the teacher"));
    TRY_CLEANUP(supernet_weights(run, &parameters, weights));
    TRY_CLEANUP(teacher_create(&found->teacher, &run->config.network, run->ops, run->pool, &options,
                               weights, &run->sets.calibration[found->resolution],
                               found->resolution));
done:
    free(weights);
    parameters_release(&parameters);
    return status;
}

static enum status choose_images(const struct run *run, struct found *found,
                                 struct loader_options *images) {
    const struct split *split = &run->sets.split;
    *images = (struct loader_options){.feed = run->sets.feeds[found->resolution],
                                      .indices = split->train,
                                      .count = split->train_count,
                                      .threads = run->sets.threads,
                                      .seed = own_seed(run)};
    if (!run->config.train.use_holdout)
        return STATUS_OK;
    images->count = split->train_count + split->holdout_count;
    TRY(allocate(&found->images, (size_t)images->count, sizeof(int), "the list of images"));
    memcpy(found->images, split->train, (size_t)split->train_count * sizeof(int));
    memcpy(found->images + split->train_count, split->holdout,
           (size_t)split->holdout_count * sizeof(int));
    images->indices = found->images;
    return STATUS_OK;
}

/* An unfinished training of other keys gives way: only a super-network is too dear for that. */
static enum status clear_old_state(const struct run *run, const struct found *found) {
    char theirs[64];
    if (weights_metadata(found->state_path, NULL, "config_hash", theirs, sizeof theirs) !=
        STATUS_OK) {
        failure_clear(); /* unreadable: the loading falls back to the one before */
        return STATUS_OK;
    }
    if (theirs[0] == '\0' || strcmp(theirs, found->hash_text) == 0)
        return STATUS_OK;
    checkpoint_remove(found->state_path);
    return log_say(run->log, "%s: the unfinished training was of other keys and begins anew",
                   found->name);
}

static enum status train_network(struct run *run, struct found *found) {
    const struct train_config *config = &run->config.train;
    const char *step = strcmp(found->name, "found") == 0 ? "train" : found->name;
    struct training_task task = {.name = "train",
                                 .config = &config->training,
                                 .network = &found->network,
                                 .ops = run->ops,
                                 .pool = run->pool,
                                 .cluster = run->cluster,
                                 .pass = run_pass_options(&run->config),
                                 .groups = 1,
                                 .norm_momentum = config->norm_momentum,
                                 .teacher_weight = config->distill,
                                 .temperature = config->distill_temperature,
                                 .state_path = found->state_path,
                                 .hash = found->hash,
                                 .log = run->log,
                                 .times = &run->times};
    if (cluster_first(run->cluster))
        TRY(clear_old_state(run, found));
    TRY(file_exists(found->state_path) ? times_start(&run->times, step)
                                       : times_restart(&run->times, step));
    TRY(begin_state(run, found));
    TRY(create_teacher(run, found));
    TRY(choose_images(run, found, &task.images));
    task.teacher = found->teacher;
    TRY(train(&task, &found->state));
    run_say_bad_pictures(run);
    return STATUS_OK;
}

static enum status test_accuracy(struct run *run, const struct found *found, const real *weights,
                                 const real *statistics, struct evaluation *evaluation) {
    struct evaluator *evaluator = NULL;
    struct subnetwork whole = subnetwork_largest(&found->network);
    struct pass_options options = run_pass_options(&run->config);
    options.cluster = run->cluster;
    enum status status;
    TRY(run_test_pictures(run, &found->network));
    struct image_set images = {.pictures = &run->test, .count = run->test.count};
    TRY_CLEANUP(evaluator_create(&evaluator, &found->network, run->ops, run->pool, &options));
    TRY_CLEANUP(evaluator_weights(evaluator, weights));
    TRY_CLEANUP(evaluator_run(evaluator, &whole, statistics, &images, evaluation));
done:
    evaluator_release(evaluator);
    return status;
}

static enum status write_result(struct run *run, struct found *found) {
    struct evaluation evaluation;
    const real *weights = state_result(&found->state);
    const real *statistics = state_result_statistics(&found->state);
    char accuracy[32];
    TRY(test_accuracy(run, found, weights, statistics, &evaluation));
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    snprintf(accuracy, sizeof accuracy, "%.6f", evaluation.accuracy);
    const struct metadata metadata[] = {
        {"format", found_format}, {"config_hash", found->hash_text}, {"test_accuracy", accuracy}};
    TRY(weights_write(found->result, &found->parameters, weights, &found->statistics, statistics,
                      found->state.step, metadata, 3));
    checkpoint_remove(found->state_path);
    TRY(times_save(&run->times));
    return log_say(run->log, "trained network written: %s", found->result);
}

enum status train_found(struct run *run, const char *name) {
    struct found found;
    bool finished;
    enum status status;
    TRY_CLEANUP(found_open(&found, run, name));
    TRY_CLEANUP(cluster_agree(run->cluster, found.hash, found.yaml));
    TRY_CLEANUP(decide(run, &found, &finished));
    if (finished) {
        if (cluster_first(run->cluster)) /* a run may have been killed just before it did */
            checkpoint_remove(found.state_path);
        status = log_say(run->log, "training of %s: done before", name);
        goto done;
    }
    TRY_CLEANUP(run_load_pictures(run));
    TRY_CLEANUP(run_check_test_pictures(run));
    TRY_CLEANUP(picture_sets_decode(&run->sets, found.resolution, run->pool));
    TRY_CLEANUP(train_network(run, &found));
    TRY_CLEANUP(write_result(run, &found));
done:
    found_close(&found);
    return status;
}

enum status found_must_be_done(const struct run *run, const char *name) {
    struct found found;
    bool done = false;
    enum status status;
    TRY_CLEANUP(found_open(&found, run, name));
    TRY_CLEANUP(is_done(&found, &done));
    if (!done)
        status = fail(STATUS_USAGE,
                      "%s has no trained network with these keys; train it with `taper train`",
                      found.result);
done:
    found_close(&found);
    return status;
}

enum status found_check_init(const struct run *run) {
    char path[RUN_PATH];
    struct safetensors file;
    const char *init = run->config.train.init;
    if (init[0] == '\0' || file_exists(run_path(run, "found.safetensors", path)))
        return STATUS_OK;
    if (safetensors_read(&file, init) != STATUS_OK)
        return fail_in(STATUS_USAGE, "train.init");
    safetensors_release(&file);
    return STATUS_OK;
}

enum status found_accuracy(const struct run *run, const char *name, double *accuracy) {
    char path[RUN_PATH], text[64], *end;
    file_of(run, name, "safetensors", path);
    TRY(weights_metadata(path, NULL, "test_accuracy", text, sizeof text));
    *accuracy = strtod(text, &end);
    if (end == text)
        return fail(STATUS_USAGE, "%s is missing or does not say its accuracy", path);
    return STATUS_OK;
}

enum status found_cost(const struct run *run, const char *name, struct cost *cost) {
    char path[RUN_PATH];
    struct network network;
    TRY(network_read(&network, file_of(run, name, "yaml", path)));
    struct subnetwork whole = subnetwork_largest(&network);
    *cost = network_cost(&network, &whole);
    network_release(&network);
    return STATUS_OK;
}
