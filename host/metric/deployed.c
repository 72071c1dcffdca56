#include "metric/bench.h"
#include "network/fold.h"
#include "support/memory.h"

#include <stdlib.h>

enum { WEIGHT_SEED = 1, USUAL_SHARDS = 16 /* of a pass that names none */ };

/* Of the pass's own network, all the same for the same network. */
static enum status give_weights(struct deployed *deployed, const struct bench *bench) {
    const struct parameters *parameters = pass_parameters(deployed->pass);
    const struct parameters *statistics = pass_statistics(deployed->pass);
    real *weights = NULL, *running = NULL, *folded = NULL;
    enum status status;
    TRY_CLEANUP(allocate(&weights, parameters->size, sizeof(real), "weights"));
    TRY_CLEANUP(allocate(&running, statistics->size, sizeof(real), "running statistics"));
    TRY_CLEANUP(allocate(&folded, parameters->size, sizeof(real), "folded weights"));
    parameters_initialise(parameters, WEIGHT_SEED, weights);
    parameters_initialise(statistics, WEIGHT_SEED, running);
    fold_norms(parameters, weights, statistics, running, bench->options.epsilon, folded);
    TRY_CLEANUP(pass_set_parameters(deployed->pass, folded));
    TRY_CLEANUP(deployed->ops->memory->finish());
done:
    free(weights);
    free(running);
    free(folded);
    return status;
}

static enum status give_pictures(struct deployed *deployed, int images) {
    const struct network *network = &deployed->network;
    size_t picture = (size_t)network->height * network->width * network->channels;
    TRY(allocate(&deployed->pictures, (size_t)images, picture, "synthetic pictures"));
    for (size_t i = 0; i < (size_t)images * picture; i++)
        deployed->pictures[i] = (uint8_t)(i * 2654435761u >> 24);
    deployed->batch.pictures = deployed->pictures;
    return STATUS_OK;
}

static enum status create(struct deployed *deployed, const struct bench *bench) {
    const struct latency_config *config = &bench->latency;
    const struct subnetwork whole = subnetwork_largest(&deployed->network);
    const struct batch_group group = {&whole, config->batch_images};
    struct pass_options options = bench->options;
    options.images = config->batch_images;
    options.groups = 1;
    options.shards = config->threads > USUAL_SHARDS ? config->threads : 0;
    options.folded = true;
    TRY(pool_create(&deployed->pool, config->threads));
    TRY(pass_create(&deployed->pass, &deployed->network, deployed->ops, deployed->pool, &options));
    return pass_set_groups(deployed->pass, &group, 1);
}

enum status deployed_create(struct deployed *deployed, const struct network *network,
                            const struct subnetwork *sub, const struct bench *bench) {
    *deployed = (struct deployed){.ops = bench->ops};
    TRY(network_extract(&deployed->network, network, sub));
    enum status status = create(deployed, bench);
    if (status != STATUS_OK)
        deployed_release(deployed);
    return status;
}

enum status deployed_fill(struct deployed *deployed, const struct bench *bench) {
    TRY(give_weights(deployed, bench));
    return give_pictures(deployed, bench->latency.batch_images);
}

void deployed_release(struct deployed *deployed) {
    pass_release(deployed->pass);
    pool_release(deployed->pool);
    free(deployed->pictures);
    network_release(&deployed->network);
    *deployed = (struct deployed){0};
}

enum status deployed_run(struct deployed *deployed) {
    struct pass_result result;
    TRY(pass_forward(deployed->pass, &deployed->batch, STATISTICS_GIVEN, &result));
    const uint8_t *moved = pass_device_pictures(deployed->pass);
    if (moved != NULL)
        deployed->batch.pictures = moved;
    return STATUS_OK;
}
