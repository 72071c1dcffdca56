#include "supernet/pass_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHARDS = 16, STEPS_PER_LAYER = 6, NORMS_PER_LAYER = 3, TENSORS_PER_LAYER = 10 };

static enum status create_widths(struct pass *pass) {
    size_t layers = pass->network->layer_count, groups = pass->options.groups;
    pass->width_count = (layers * WIDTHS_PER_LAYER + 1) * groups;
    TRY(allocate(&pass->widths, layers, sizeof *pass->widths, "layer widths"));
    TRY(allocate(&pass->width_memory, pass->width_count, sizeof(int), "layer widths"));
    for (size_t group = 0; group < groups; group++)
        pass->width_memory[layers * WIDTHS_PER_LAYER * groups + group] = pass->network->channels;
    return STATUS_OK;
}

/* Read by the host after every run, and written to by operations (or by a copy of theirs). */
static enum status create_results(struct pass *pass) {
    const struct memory *memory = pass->ops->memory;
    size_t images = pass->options.images;
    TRY(memory->take_shared(&pass->losses, images * sizeof *pass->losses, "losses"));
    return memory->take_shared(&pass->hits, images * sizeof *pass->hits, "hits");
}

static enum status copy_picture_norm(struct pass *pass) {
    const struct memory *memory = pass->ops->memory;
    TRY(memory->copy(pass->picture_mean, pass->options.mean, sizeof pass->options.mean));
    return memory->copy(pass->picture_deviation, pass->options.deviation,
                        sizeof pass->options.deviation);
}

static enum status create(struct pass *pass) {
    TRY(parameters_of(&pass->parameters, pass->network));
    TRY(statistics_of(&pass->statistics, pass->network));
    int layers = pass->network->layer_count;
    TRY(allocate(&pass->steps, (size_t)layers * STEPS_PER_LAYER, sizeof *pass->steps, "a pass"));
    TRY(allocate(&pass->convolutions, (size_t)layers * STEPS_PER_LAYER, sizeof *pass->convolutions,
                 "a pass"));
    TRY(allocate(&pass->norms, (size_t)layers * NORMS_PER_LAYER, sizeof *pass->norms, "a pass"));
    TRY(allocate(&pass->tensors, (size_t)layers * TENSORS_PER_LAYER, sizeof *pass->tensors,
                 "a pass"));
    TRY(allocate(&pass->scratch, pass_threads(pass), sizeof *pass->scratch, "a pass"));
    TRY(create_widths(pass));
    TRY(create_results(pass));
    TRY(pass_build(pass));
    TRY(share_create(pass));
    if (!pass->ops->memory->separate) {
        pass->device_losses = pass->losses;
        pass->device_hits = pass->hits;
        pass->device_segments = pass->segments;
    }
    return copy_picture_norm(pass);
}

/* Images are an axis of a device's launches, pixels of a batch are counted in an int. */
static enum status check_size(const struct network *network, const struct pass_options *options) {
    if (options->groups > MAX_GROUPS)
        return fail(STATUS_USAGE, "%d sub-networks per batch are more than %d", options->groups,
                    MAX_GROUPS);
    if (options->images > MAX_IMAGES)
        return fail(STATUS_USAGE, "a batch of %d images is more than %d", options->images,
                    MAX_IMAGES);
    if ((long long)options->images * network->height * network->width > INT_MAX)
        return fail(STATUS_USAGE, "a batch of %d images of %dx%d has more than 2^31 pixels",
                    options->images, network->height, network->width);
    return STATUS_OK;
}

enum status pass_create(struct pass **created, const struct network *network, const struct ops *ops,
                        struct pool *pool, const struct pass_options *options) {
    struct pass *pass;
    TRY(check_size(network, options));
    TRY(allocate(&pass, 1, sizeof *pass, "a pass"));
    pass->network = network;
    pass->ops = ops;
    pass->pool = ops->memory->separate ? NULL : pool; /* a device is its own pool */
    pass->options = *options;
    if (ops->memory->separate)
        pass->options.shards = 1;
    else if (pass->options.shards == 0)
        pass->options.shards = DEFAULT_SHARDS;
    if (pass->options.shards > MAX_SHARDS)
        pass->options.shards = MAX_SHARDS;
    if (pass->options.shards > options->images)
        pass->options.shards = options->images;
    pass->slots = share_most_images(&pass->options);
    enum status status = create(pass);
    if (status != STATUS_OK) {
        pass_release(pass);
        return status;
    }
    *created = pass;
    return STATUS_OK;
}

void pass_release(struct pass *pass) {
    if (pass == NULL)
        return;
    const struct memory *memory = pass->ops->memory;
    profile_release(pass);
    for (int i = 0; i < MAX_RESOLUTIONS * RECORDINGS && memory->recording_release; i++)
        memory->recording_release(pass->recorded[i / RECORDINGS][i % RECORDINGS].recording);
    memory->give_back(pass->device);
    memory->give_back_shared(pass->losses);
    memory->give_back_shared(pass->hits);
    arena_release(pass->arena);
    share_release(pass);
    parameters_release(&pass->parameters);
    parameters_release(&pass->statistics);
    free(pass->steps);
    free(pass->convolutions);
    free(pass->norms);
    free(pass->tensors);
    free(pass->scratch);
    free(pass->widths);
    free(pass->width_memory);
    free(pass);
}

const struct parameters *pass_parameters(const struct pass *pass) {
    return &pass->parameters;
}

const struct parameters *pass_statistics(const struct pass *pass) {
    return &pass->statistics;
}

enum status pass_set_parameters(struct pass *pass, const real *values) {
    pass->prepared = pass->given_applied = false;
    return pass->ops->memory->copy(pass->values, values, pass->parameters.size * sizeof(real));
}

enum status pass_set_statistics(struct pass *pass, const real *statistics) {
    pass->given_applied = false;
    return pass->ops->memory->copy(pass->given_statistics, statistics,
                                   pass->statistics.size * sizeof(real));
}

enum status pass_exchange_statistics(const struct pass *pass, real *flat, bool into_rows) {
    for (int i = 0; i < pass->step_count; i++) {
        const struct step *step = &pass->steps[i];
        if (!step_is_convolution(step) || step->convolution.norm == NULL)
            continue;
        const struct batch_norm *norm = step->convolution.norm;
        real *rows[] = {norm->mean, norm->variance};
        enum parameter_role roles[] = {ROLE_RUNNING_MEAN, ROLE_RUNNING_VARIANCE};
        for (int which = 0; which < 2; which++) {
            const struct parameter *parameter =
                parameters_find(&pass->statistics, step->layer, step->part, roles[which]);
            real *at = flat + parameter->offset;
            TRY(pass->ops->memory->copy(into_rows ? rows[which] : at, into_rows ? at : rows[which],
                                        parameter->count * sizeof(real)));
        }
    }
    return STATUS_OK;
}

enum status pass_apply_statistics(struct pass *pass) {
    struct slice slice = pass_whole(pass, NULL);
    TRY(pass_exchange_statistics(pass, pass->given_statistics, true));
    for (int i = 0; i < pass->step_count; i++) {
        const struct step *step = &pass->steps[i];
        if (!step_is_convolution(step) || step->convolution.norm == NULL)
            continue;
        TRY(pass->ops->batch_norm_forward(step->convolution.norm, &step->convolution.output,
                                          &slice));
    }
    pass->given_applied = true;
    return STATUS_OK;
}

enum status pass_batch_statistics(const struct pass *pass, real *statistics) {
    return pass->ops->memory->copy(statistics, pass->measured_statistics,
                                   pass->statistics.size * sizeof(real));
}

const uint8_t *pass_device_pictures(const struct pass *pass) {
    return pass->operands.pictures;
}

enum status pass_logits(const struct pass *pass, int images, real *logits) {
    const struct memory *memory = pass->ops->memory;
    TRY(share_logits(pass));
    TRY(memory->copy(logits, pass->logit_rows,
                     (size_t)images * pass->network->classes * sizeof(real)));
    return memory->finish();
}

struct image_range pass_own_images(const struct pass *pass) {
    return pass->own;
}

int pass_most_ranks(const struct pass *pass) {
    return pass->shard_count;
}

size_t pass_bytes(const struct pass *pass) {
    return pass->bytes;
}

int pass_guards_broken(const struct pass *pass) {
    return arena_check(pass->arena);
}
