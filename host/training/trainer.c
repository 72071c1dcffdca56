#include "training/trainer.h"
#include "report/meter.h"
#include "support/interrupt.h"
#include "support/memory.h"
#include "training/checkpoint.h"
#include "training/guard.h"
#include "training/optimise.h"
#include "training/schedule.h"

#include <stdlib.h>

/* What the loop holds beside the state. */
struct trainer {
    const struct training_task *task;
    struct training_state *state; /* the caller's, in the host's memory */
    struct training_state work;   /* what operations work on: the same vectors, or a copy */
    struct pass *pass;
    struct loader *loader;
    uint8_t *decays;
    int batches; /* per epoch */
    int64_t steps;
    real *gradient, *statistics;
    struct subnetwork *subs;    /* [groups] */
    struct batch_group *groups; /* [groups] */
    struct image_range own;     /* of a batch: this rank's */
    struct meter meter;
    double saved; /* when */
};

static enum status take_vector(const struct memory *memory, real **vector, size_t count,
                               const char *what) {
    return memory->take(vector, (count + READ_SLACK) * sizeof(real), what);
}

static enum status create_buffers(struct trainer *trainer) {
    const struct training_task *task = trainer->task;
    size_t groups = (size_t)task->groups;
    const struct memory *memory = task->ops->memory;
    TRY(decays_of(&trainer->decays, pass_parameters(trainer->pass), memory));
    TRY(take_vector(memory, &trainer->gradient, trainer->state->parameters, "the gradient"));
    TRY(take_vector(memory, &trainer->statistics, pass_statistics(trainer->pass)->size,
                    "statistics of a batch"));
    TRY(state_mirror(&trainer->work, trainer->state, memory));
    TRY(allocate(&trainer->subs, groups, sizeof *trainer->subs, "groups"));
    TRY(allocate(&trainer->groups, groups, sizeof *trainer->groups, "groups"));
    for (int g = 0; g < task->groups; g++) {
        trainer->subs[g] = subnetwork_largest(task->network);
        trainer->groups[g] =
            (struct batch_group){&trainer->subs[g], task->config->batch_images / task->groups};
    }
    return STATUS_OK;
}

static const struct picture_feed *feed_of(const void *task, int64_t step, double epoch) {
    const struct training_task *of = task;
    return &of->feeds[sampler_resolution(of->sampler, of->network, (uint64_t)step, epoch)];
}

/* Which part of a batch is this rank's does not depend on the step. */
static enum status own_images(struct trainer *trainer, struct loader_options *images) {
    const struct training_task *task = trainer->task;
    TRY(pass_set_groups(trainer->pass, trainer->groups, task->groups));
    int most = pass_most_ranks(trainer->pass), ranks = cluster_ranks(task->cluster);
    if (ranks > most)
        return fail(STATUS_USAGE,
                    "%s: a batch is cut into %d parts, which is too little for %d ranks",
                    task->name, most, ranks);
    trainer->own = pass_own_images(trainer->pass);
    images->own_first = trainer->own.first;
    images->own_images = trainer->own.count;
    return STATUS_OK;
}

static enum status create(struct trainer *trainer) {
    const struct training_task *task = trainer->task;
    struct pass_options options = task->pass;
    options.cluster = task->cluster;
    options.images = task->config->batch_images;
    options.groups = task->groups;
    options.shared_norm = task->shared_norm;
    options.backward = true;
    struct loader_options images = task->images;
    images.batch_images = task->config->batch_images;
    images.memory = task->ops->memory;
    if (task->feeds) {
        images.feed_of = feed_of;
        images.context = task;
    }
    TRY(loader_check(
        &images)); /* before memory is taken for the pass of a batch that is too large */
    TRY(pass_create(&trainer->pass, task->network, task->ops, task->pool, &options));
    TRY(create_buffers(trainer));
    TRY(own_images(trainer, &images));
    TRY(loader_create(&trainer->loader, &images));
    trainer->batches = loader_batches(trainer->loader);
    trainer->steps = schedule_steps(task->config, trainer->batches);
    return STATUS_OK;
}

static void release(struct trainer *trainer) {
    loader_release(trainer->loader);
    pass_release(trainer->pass);
    const struct memory *memory = trainer->task->ops->memory;
    memory->give_back(trainer->decays);
    memory->give_back(trainer->gradient);
    memory->give_back(trainer->statistics);
    state_mirror_release(&trainer->work, memory);
    free(trainer->subs);
    free(trainer->groups);
}

/* Global group numbers go on from batch to batch: the decks deal every option once per round. */
static enum status set_groups(struct trainer *trainer) {
    const struct training_task *task = trainer->task;
    int64_t step = trainer->state->step;
    double epoch = (double)step / trainer->batches;
    for (int g = 0; task->sampler && g < task->groups; g++)
        trainer->subs[g] =
            sampler_draw(task->sampler, task->network,
                         (uint64_t)step * (uint64_t)task->groups + (uint64_t)g, epoch);
    return pass_set_groups(trainer->pass, trainer->groups, task->groups);
}

static enum status forward_backward(struct trainer *trainer, struct pass_result *result) {
    const struct training_task *task = trainer->task;
    struct loaded_batch loaded;
    TRY(loader_batch(trainer->loader, trainer->state->step, &loaded));
    struct pass_batch batch = {.pictures = loaded.pictures,
                               .labels = loaded.labels,
                               .smoothing = (real)task->config->label_smoothing,
                               .teacher_weight = (real)task->teacher_weight,
                               .temperature = (real)task->temperature};
    if (task->teacher)
        TRY(teacher_logits(task->teacher, loaded.pictures, trainer->own.count, &batch.teacher));
    TRY(set_groups(trainer));
    TRY(pass_set_parameters(trainer->pass, trainer->work.weights));
    return pass_forward_backward(trainer->pass, &batch, trainer->gradient, result);
}

static enum status keep_statistics(struct trainer *trainer, double keep) {
    struct training_state *state = &trainer->work;
    const struct ops *ops = trainer->task->ops;
    if (state->running == NULL)
        return STATUS_OK;
    TRY(pass_batch_statistics(trainer->pass, trainer->statistics));
    TRY(ops->average(state->running, trainer->statistics, (real)(1 - trainer->task->norm_momentum),
                     state->statistics));
    if (state->average_running == NULL)
        return STATUS_OK;
    return ops->average(state->average_running, state->running, (real)keep, state->statistics);
}

static enum status update(struct trainer *trainer, double rate) {
    struct training_state *state = &trainer->work;
    const struct training_task *task = trainer->task;
    double keep = schedule_average(task->config, trainer->state->step);
    TRY(optimise(state, task->config, trainer->decays, task->ops, rate, trainer->gradient));
    if (state->average)
        TRY(task->ops->average(state->average, state->weights, (real)keep, state->parameters));
    return keep_statistics(trainer, keep);
}

static enum status save(struct trainer *trainer) {
    TRY(state_from_mirror(trainer->state, &trainer->work, trainer->task->ops->memory));
    if (cluster_first(trainer->task->cluster))
        TRY(checkpoint_save(trainer->state, trainer->task->state_path, trainer->task->hash));
    trainer->saved = log_seconds();
    return times_save(trainer->task->times);
}

/* Saved at once, so that no return is reported twice. */
static enum status go_back(struct trainer *trainer, double loss) {
    const struct training_task *task = trainer->task;
    const struct guard_task guard = {.name = task->name,
                                     .config = task->config,
                                     .memory = task->ops->memory,
                                     .log = task->log,
                                     .steps = trainer->steps};
    TRY(guard_return(&guard, trainer->state, &trainer->work, loss));
    return save(trainer);
}

static enum status step(struct trainer *trainer) {
    struct training_state *state = trainer->state;
    const struct training_config *config = trainer->task->config;
    double rate =
        schedule_rate(config, trainer->batches, state->step) * guard_factor(&state->guard, config);
    double waited = loader_waited(trainer->loader);
    struct pass_result result;
    TRY(forward_backward(trainer, &result));
    if (!guard_accepts(&state->guard, config, trainer->task->network->classes, result.loss))
        return go_back(trainer, result.loss);
    if (guard_begins_window(state, config))
        TRY(guard_keep(state, &trainer->work, trainer->task->ops->memory));
    TRY(update(trainer, rate));
    state->step++;
    struct meter_step said = {.done = state->step,
                              .images = config->batch_images,
                              .correct = result.correct,
                              .loss = result.loss,
                              .rate = rate,
                              .waited = loader_waited(trainer->loader) - waited};
    return meter_step(&trainer->meter, &said);
}

static enum status load(struct trainer *trainer) {
    const struct training_task *task = trainer->task;
    enum checkpoint_found found;
    if (!cluster_first(task->cluster))
        return STATUS_OK;
    TRY(checkpoint_load(trainer->state, task->state_path, task->hash, task->log, &found));
    if (found == CHECKPOINT_OTHER_KEYS)
        return fail(STATUS_USAGE,
                    "%s is an unfinished training with other keys; choose another --out, or remove "
                    "it to start anew",
                    task->state_path);
    if (found == CHECKPOINT_LOADED)
        return log_say(task->log, "%s: going on after step %lld of %lld", task->name,
                       (long long)trainer->state->step, (long long)trainer->steps);
    return STATUS_OK;
}

/* All ranks stop after the same step, whichever the signal came to. */
static enum status interrupted(const struct trainer *trainer, bool *yes) {
    int requested = interrupt_requested();
    TRY(cluster_reduce(trainer->task->cluster, &requested, 1, CLUSTER_INT, CLUSTER_MOST));
    *yes = requested != 0;
    return STATUS_OK;
}

static enum status run(struct trainer *trainer) {
    const struct training_task *task = trainer->task;
    bool stops;
    TRY(create(trainer));
    TRY(load(trainer));
    TRY(state_broadcast(trainer->state, task->cluster));
    TRY(state_to_mirror(&trainer->work, trainer->state, task->ops->memory));
    meter_begin(&trainer->meter, task->log, task->name, trainer->state->step, trainer->steps);
    trainer->saved = log_seconds();
    while (trainer->state->step < trainer->steps) {
        TRY(step(trainer));
        TRY(interrupted(trainer, &stops));
        if (stops) {
            TRY(save(trainer));
            return fail(STATUS_INTERRUPTED,
                        "%s is stopped after step %lld of %lld and saved; the same command goes on",
                        task->name, (long long)trainer->state->step, (long long)trainer->steps);
        }
        if (log_seconds() - trainer->saved >= task->config->save_seconds)
            TRY(save(trainer));
    }
    TRY(state_from_mirror(trainer->state, &trainer->work, task->ops->memory));
    return times_save(task->times);
}

enum status train(const struct training_task *task, struct training_state *state) {
    struct trainer trainer = {.task = task, .state = state};
    enum status status = run(&trainer);
    release(&trainer);
    return status;
}
