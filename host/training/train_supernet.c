#include "training/train_supernet.h"
#include "report/format.h"
#include "support/file.h"
#include "training/checkpoint.h"
#include "training/trainer.h"
#include "training/weights_file.h"

#include <stdlib.h>
#include <string.h>

/* Of one file: the largest that supernet_adopt() copies. */
static const char state_name[] = "supernet.state.safetensors";
static const char format[] = "taper super-network 1";

static const size_t MOST_BYTES = (size_t)8 << 30;

static enum status belongs(const struct run *run, const char *path, bool *yes) {
    uint64_t hash;
    char ours[HASH_TEXT], theirs[64];
    TRY(run_hash(run, STEP_SUPERNET, &hash, ours));
    TRY(weights_metadata(path, format, "config_hash", theirs, sizeof theirs));
    *yes = strcmp(ours, theirs) == 0;
    return STATUS_OK;
}

enum status supernet_is_done(const struct run *run, bool *done) {
    char path[RUN_PATH];
    run_path(run, "supernet.safetensors", path);
    *done = false;
    if (!file_exists(path))
        return STATUS_OK;
    TRY(belongs(run, path, done));
    if (!*done)
        return fail(STATUS_USAGE,
                    "%s was trained with other network, data or supernet keys; choose another "
                    "--out, or remove the folder to start anew",
                    path);
    return STATUS_OK;
}

enum status supernet_adopt(struct run *run, const char *path) {
    char own[RUN_PATH];
    bool agrees;
    if (!file_exists(path))
        return fail(STATUS_USAGE, "--supernet: there is no file %s", path);
    TRY(supernet_is_done(run, &agrees));
    if (agrees)
        return STATUS_OK;
    TRY(belongs(run, path, &agrees));
    if (!agrees)
        return fail(STATUS_USAGE,
                    "--supernet: %s was trained with other network, data or supernet keys than "
                    "this configuration's",
                    path);
    struct file_part part;
    char *data;
    TRY(file_read(path, MOST_BYTES, &data, &part.size));
    part.data = data;
    enum status status = file_replace(run_path(run, "supernet.safetensors", own), &part, 1);
    free(data);
    return status;
}

static enum status read_weights(const struct run *run, const struct parameters *parameters,
                                real *weights) {
    char path[RUN_PATH];
    bool done;
    TRY(supernet_is_done(run, &done));
    if (!done)
        return fail(STATUS_USAGE, "%s has no super-network yet; train it with `taper supernet`",
                    run->folder);
    return weights_read(run_path(run, "supernet.safetensors", path), parameters, weights, NULL,
                        NULL);
}

enum status supernet_weights(const struct run *run, const struct parameters *parameters,
                             real *weights) {
    if (cluster_first(run->cluster))
        TRY(read_weights(run, parameters, weights));
    return cluster_broadcast(run->cluster, weights, parameters->size * sizeof *weights);
}

static enum status write_result(struct run *run, const struct parameters *parameters,
                                const struct training_state *state, const char *state_path,
                                const char *hash_text) {
    char path[RUN_PATH], took[FORMAT_SIZE];
    const struct metadata metadata[] = {{"format", format}, {"config_hash", hash_text}};
    TRY(weights_write(run_path(run, "supernet.safetensors", path), parameters, state_result(state),
                      NULL, NULL, 0, metadata, 2));
    checkpoint_remove(state_path);
    return log_say(run->log, "super-network trained in %s: %s",
                   format_duration(took, times_of(&run->times, "supernet")), path);
}

static enum status train_anew(struct run *run, const struct parameters *parameters,
                              struct training_state *state) {
    const struct supernet_config *config = &run->config.supernet;
    char state_path[RUN_PATH], hash_text[HASH_TEXT];
    struct sampler sampler = {.seed = run->config.seed,
                              .kind = config->draw,
                              .warmup_epochs = config->width_warmup_epochs,
                              .batch_groups = config->subnets_per_batch};
    struct training_task task = {.name = "supernet",
                                 .config = &config->training,
                                 .network = &run->config.network,
                                 .ops = run->ops,
                                 .pool = run->pool,
                                 .cluster = run->cluster,
                                 .pass = run_pass_options(&run->config),
                                 .images = {.feed = run->sets.feeds[0],
                                            .indices = run->sets.split.train,
                                            .count = run->sets.split.train_count,
                                            .threads = run->sets.threads,
                                            .seed = run->config.seed},
                                 .sampler = &sampler,
                                 .feeds = run->sets.feeds,
                                 .groups = config->subnets_per_batch,
                                 .shared_norm = config->shared_norm,
                                 .state_path = run_path(run, state_name, state_path),
                                 .log = run->log,
                                 .times = &run->times};
    TRY(run_hash(run, STEP_SUPERNET, &task.hash, hash_text));
    TRY(times_start(&run->times, "supernet"));
    parameters_initialise(parameters, run->config.seed, state->weights);
    state_begin(state);
    TRY(train(&task, state));
    run_say_bad_pictures(run);
    return cluster_first(run->cluster) ? write_result(run, parameters, state, state_path, hash_text)
                                       : STATUS_OK;
}

enum status train_supernet(struct run *run) {
    bool finished;
    TRY(run_decide(run, supernet_is_done, &finished));
    if (finished && !cluster_first(run->cluster))
        return STATUS_OK;
    if (finished) {
        char state_path[RUN_PATH]; /* of a run killed just before it removed it */
        checkpoint_remove(run_path(run, state_name, state_path));
        return log_say(run->log, "super-network: done before");
    }
    struct parameters parameters = {0};
    struct training_state state = {0};
    enum status status;
    TRY_CLEANUP(run_load_pictures(run));
    TRY_CLEANUP(parameters_of(&parameters, &run->config.network));
    TRY_CLEANUP(state_create(&state, &run->config.supernet.training, parameters.size, 0));
    TRY_CLEANUP(train_anew(run, &parameters, &state));
done:
    state_release(&state);
    parameters_release(&parameters);
    return status;
}
