#include "operand_sets.h"

#include "supernet/sampler.h"
#include "support/random.h"

#include <stdlib.h>
#include <string.h>

static enum status take(const struct ops *ops, real **vector, size_t count) {
    return ops->memory->take(vector, (count + READ_SLACK) * sizeof(real), "the benchmark");
}

static enum status fill_parameters(struct operand_sets *sets, const struct ops *ops,
                                   const struct parameters *parameters) {
    real *values;
    TRY(take(ops, &sets->weights, parameters->size));
    TRY(take(ops, &sets->gradient, parameters->size));
    TRY(allocate(&values, parameters->size, sizeof *values, "weights"));
    parameters_initialise(parameters, 1, values);
    enum status status =
        ops->memory->copy(sets->weights, values, parameters->size * sizeof *values);
    if (status == STATUS_OK)
        status = ops->memory->finish();
    free(values);
    return status;
}

static enum status random_batch(struct pass_batch *batch, const struct network *network,
                                int images) {
    size_t bytes = (size_t)images * network->height * network->width * network->channels;
    uint8_t *pictures;
    int *labels;
    TRY(allocate(&pictures, bytes, 1, "pictures"));
    TRY(allocate(&labels, (size_t)images, sizeof *labels, "labels"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < bytes; i++)
        pictures[i] = (uint8_t)random_next(&random);
    for (int i = 0; i < images; i++)
        labels[i] = (int)random_below(&random, (uint32_t)network->classes);
    *batch = (struct pass_batch){.pictures = pictures, .labels = labels};
    return STATUS_OK;
}

static enum status set_groups(struct pass *pass, int groups, bool uniform) {
    static struct subnetwork subs[MAX_GROUPS];
    struct batch_group list[MAX_GROUPS];
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM, .batch_groups = groups};
    for (int g = 0; g < groups; g++) {
        subs[g] = uniform ? sampler_draw(&sampler, pass->network, (uint64_t)g, 0)
                          : subnetwork_largest(pass->network);
        list[g] = (struct batch_group){&subs[g], pass->options.images / groups};
    }
    return pass_set_groups(pass, list, groups);
}

static enum status fill_set(struct operand_sets *sets, const struct pass_batch *batch, int groups,
                            bool uniform) {
    struct pass *pass = sets->passes[sets->count - 1];
    struct pass_result result;
    if (sets->count == 1)
        TRY(fill_parameters(sets, pass->ops, &pass->parameters));
    TRY(set_groups(pass, groups, uniform));
    TRY(pass_set_parameters(pass, sets->weights));
    return pass_forward_backward(pass, batch, sets->gradient, &result);
}

enum status operand_sets_create(struct operand_sets *sets, int count, const struct network *network,
                                const struct ops *ops, int images, int groups, bool uniform) {
    struct pass_options options = {.images = images,
                                   .groups = groups,
                                   .shards = 1,
                                   .backward = true,
                                   .epsilon = 1e-5f,
                                   .mean = {.5f, .5f, .5f},
                                   .deviation = {.25f, .25f, .25f}};
    struct pass_batch batch;
    *sets = (struct operand_sets){0};
    TRY(random_batch(&batch, network, images));
    enum status status = STATUS_OK;
    for (int set = 0; set < count && status == STATUS_OK; set++) {
        status = pass_create(&sets->passes[set], network, ops, NULL, &options);
        if (status == STATUS_OK) {
            sets->count++;
            status = fill_set(sets, &batch, groups, uniform);
        }
    }
    free((void *)batch.pictures);
    free((void *)batch.labels);
    return status;
}

void operand_sets_release(struct operand_sets *sets) {
    const struct memory *memory = sets->count > 0 ? sets->passes[0]->ops->memory : NULL;
    if (memory) {
        memory->give_back(sets->weights);
        memory->give_back(sets->gradient);
    }
    for (int set = 0; set < sets->count; set++)
        pass_release(sets->passes[set]);
    *sets = (struct operand_sets){0};
}

/* ------------------------------------------------------------------ calls */

bool call_exists(const struct step *step, enum call call) {
    if (call == CALL_FORWARD || call == CALL_BACKWARD)
        return true;
    if (!step_is_convolution(step))
        return false;
    return call == CALL_PREPARE || step->convolution.norm != NULL;
}

enum status operand_sets_call(const struct operand_sets *sets, int set, int index, enum call call) {
    const struct pass *pass = sets->passes[set];
    const struct ops *ops = pass->ops;
    const struct step *step = &pass->steps[index];
    const struct convolution *convolution = &step->convolution;
    struct slice slice = pass_whole(pass, &pass->branches[0], sets->gradient);
    switch (call) {
    case CALL_PREPARE:
        return ops->prepare(&convolution, 1);
    case CALL_FORWARD:
        return step_forward(ops, step, &slice);
    case CALL_NORM_FORWARD:
        return ops->batch_norm_forward(convolution->norm, &convolution->output, &slice);
    case CALL_NORM_BACKWARD:
        return ops->batch_norm_backward(convolution->norm, &convolution->output, &slice);
    case CALL_BACKWARD:
        return step_backward(ops, step, &slice);
    }
    __builtin_unreachable();
}
