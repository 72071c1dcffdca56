#include "commands/probe.h"
#include "report/log.h"
#include "support/memory.h"
#include "training/run.h"

#include <stdlib.h>

enum { ROUNDS = 3 };
/* Activations of more than this are not touched only to measure: a part of the batch is. */
static const double MOST_BYTES = 1.5e9;

struct probe_pass {
    struct pass *pass;
    const struct config *config;
    const struct ops *ops;
    int images, groups;
    uint8_t *pictures;
    int *labels;
    real *weights, *gradient;
    struct subnetwork *subs;
    struct batch_group *list;
};

static void release(struct probe_pass *probe) {
    pass_release(probe->pass);
    free(probe->pictures);
    free(probe->labels);
    free(probe->weights);
    probe->ops->memory->give_back(probe->gradient);
    free(probe->subs);
    free(probe->list);
}

static enum status create_pass(struct probe_pass *probe, struct pool *pool) {
    const struct config *config = probe->config;
    struct pass_options options = run_pass_options(config);
    options.images = probe->images;
    options.groups = probe->groups;
    options.backward = true;
    options.shared_norm = config->supernet.shared_norm;
    return pass_create(&probe->pass, &config->network, probe->ops, pool, &options);
}

static enum status fill(struct probe_pass *probe) {
    const struct network *network = &probe->config->network;
    size_t images = (size_t)probe->images, groups = (size_t)probe->groups;
    size_t picture = (size_t)network->height * network->width * network->channels;
    size_t size = pass_parameters(probe->pass)->size;
    TRY(allocate(&probe->pictures, images, picture, "synthetic pictures"));
    TRY(allocate(&probe->labels, images, sizeof(int), "synthetic labels"));
    TRY(allocate(&probe->weights, size + READ_SLACK, sizeof(real), "weights"));
    TRY(probe->ops->memory->take(&probe->gradient, (size + READ_SLACK) * sizeof(real),
                                 "the gradient"));
    TRY(allocate(&probe->subs, groups, sizeof *probe->subs, "groups"));
    TRY(allocate(&probe->list, groups, sizeof *probe->list, "groups"));
    for (size_t i = 0; i < images * picture; i++)
        probe->pictures[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = 0; i < probe->images; i++)
        probe->labels[i] = i % network->classes;
    parameters_initialise(pass_parameters(probe->pass), probe->config->seed, probe->weights);
    return pass_set_parameters(probe->pass, probe->weights);
}

static enum status create(struct probe_pass *probe, struct pool *pool) {
    TRY(create_pass(probe, pool));
    return fill(probe);
}

/* Seconds per run: the mean over rounds, since each draws other sub-networks. */
static enum status measure(struct probe_pass *probe, bool largest, bool backward, double *seconds) {
    const struct config *config = probe->config;
    const struct sampler sampler = {
        .seed = config->seed, .kind = config->supernet.draw, .batch_groups = probe->groups};
    struct pass_batch batch = {.pictures = probe->pictures, .labels = probe->labels};
    struct pass_result result;
    *seconds = 0;
    for (int round = 0; round <= ROUNDS; round++) { /* the first one warms up */
        int groups = largest ? 1 : probe->groups;
        for (int g = 0; g < groups; g++) {
            probe->subs[g] =
                largest ? subnetwork_largest(&config->network)
                        : sampler_draw(&sampler, &config->network, (uint64_t)round * groups + g, 1);
            probe->list[g] = (struct batch_group){&probe->subs[g], probe->images / groups};
        }
        TRY(pass_set_groups(probe->pass, probe->list, groups));
        double start = log_seconds();
        if (backward)
            TRY(pass_forward_backward(probe->pass, &batch, probe->gradient, &result));
        else
            TRY(pass_forward(probe->pass, &batch, STATISTICS_BATCH, &result));
        if (round > 0)
            *seconds += (log_seconds() - start) / ROUNDS;
    }
    return STATUS_OK;
}

enum status probe_run(struct probe *probe, const struct config *config,
                      const struct probe_memory *memory, const struct ops *ops, struct pool *pool) {
    int batch = config->supernet.training.batch_images;
    struct probe_pass pass = {
        .config = config, .ops = ops, .groups = config->supernet.subnets_per_batch};
    enum status status;
    pass.images = batch;
    while (pass_memory_of(&memory->training, pass.images) > MOST_BYTES &&
           pass.images / 2 >= pass.groups && pass.images / 2 % pass.groups == 0)
        pass.images /= 2;
    TRY_CLEANUP(create(&pass, pool));
    TRY_CLEANUP(measure(&pass, false, true, &probe->step_seconds));
    TRY_CLEANUP(measure(&pass, true, true, &probe->full_seconds));
    TRY_CLEANUP(measure(&pass, true, false, &probe->image_seconds));
    probe->images = pass.images;
    probe->step_seconds *= (double)batch / pass.images;
    probe->full_seconds *= (double)batch / pass.images;
    probe->image_seconds /= pass.images;
done:
    release(&pass);
    return status;
}
