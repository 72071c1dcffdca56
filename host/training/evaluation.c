#include "training/evaluation.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

struct evaluator {
    struct pass *pass;
    const struct memory *memory;
    const struct network *network;
    int batch, classes;
    uint8_t *pictures; /* [batch] */
    int *labels;       /* [batch] */
    double *sums;      /* [statistics] of a calibration */
    real *statistics;  /* of one batch */
};

int evaluator_batch(const struct network *network) {
    int images = (2 << 20) / (network->height * network->width);
    return images > 256 ? 256 : images < 16 ? 16 : images;
}

static enum status create_parts(struct evaluator *evaluator, const struct network *network,
                                const struct ops *ops, struct pool *pool,
                                const struct pass_options *given) {
    struct pass_options options = *given;
    if (options.images == 0)
        options.images = evaluator_batch(network);
    options.groups = 1;
    options.backward = options.shared_norm = false;
    TRY(pass_create(&evaluator->pass, network, ops, pool, &options));
    evaluator->batch = options.images;
    evaluator->classes = network->classes;
    evaluator->memory = ops->memory;
    evaluator->network = network;
    size_t picture = (size_t)network->height * network->width * network->channels;
    size_t statistics = pass_statistics(evaluator->pass)->size, batch = evaluator->batch;
    TRY(ops->memory->take_shared(&evaluator->pictures, batch * picture, "a batch of pictures"));
    TRY(ops->memory->take_shared(&evaluator->labels, batch * sizeof(int), "a batch of labels"));
    TRY(allocate(&evaluator->sums, statistics, sizeof(double), "sums of statistics"));
    return allocate(&evaluator->statistics, statistics + READ_SLACK, sizeof(real),
                    "statistics of a batch");
}

enum status evaluator_create(struct evaluator **evaluator, const struct network *network,
                             const struct ops *ops, struct pool *pool,
                             const struct pass_options *options) {
    TRY(allocate(evaluator, 1, sizeof **evaluator, "an evaluator"));
    enum status status = create_parts(*evaluator, network, ops, pool, options);
    if (status != STATUS_OK) {
        evaluator_release(*evaluator);
        *evaluator = NULL;
    }
    return status;
}

void evaluator_release(struct evaluator *evaluator) {
    if (evaluator == NULL)
        return;
    pass_release(evaluator->pass);
    if (evaluator->memory) {
        evaluator->memory->give_back_shared(evaluator->pictures);
        evaluator->memory->give_back_shared(evaluator->labels);
    }
    free(evaluator->sums);
    free(evaluator->statistics);
    free(evaluator);
}

const struct parameters *evaluator_parameters(const struct evaluator *evaluator) {
    return pass_parameters(evaluator->pass);
}

const struct parameters *evaluator_statistics(const struct evaluator *evaluator) {
    return pass_statistics(evaluator->pass);
}

enum status evaluator_weights(struct evaluator *evaluator, const real *weights) {
    return pass_set_parameters(evaluator->pass, weights);
}

/* Batches of nearly equal size: a last batch of three pictures would spoil the statistics. */
static int batches_of(const struct evaluator *evaluator, const struct image_set *images) {
    return (images->count + evaluator->batch - 1) / evaluator->batch;
}

/* Gathers this rank's part of batch b of the set and tells the pass the batch's size. */
static enum status gather(struct evaluator *evaluator, const struct subnetwork *sub,
                          const struct image_set *images, int b, int *count) {
    int batches = batches_of(evaluator, images);
    int first = (int)((int64_t)images->count * b / batches);
    int end = (int)((int64_t)images->count * (b + 1) / batches);
    struct batch_group group = {.sub = sub, .images = end - first};
    TRY(pass_set_groups(evaluator->pass, &group, 1));
    struct image_range own = pass_own_images(evaluator->pass);
    const struct network *network = evaluator->network;
    struct resolution size = network_resolution(network, subnetwork_resolution(network, sub));
    size_t picture = (size_t)size.height * size.width * network->channels;
    for (int i = 0; i < own.count; i++) {
        int place = first + own.first + i, image = images->indices ? images->indices[place] : place;
        memcpy(evaluator->pictures + (size_t)i * picture,
               images->pictures->pixels + (size_t)image * picture, picture);
        if (images->pictures->labels != NULL)
            evaluator->labels[i] = images->pictures->labels[image];
    }
    *count = end - first;
    return STATUS_OK;
}

enum status evaluator_calibrate(struct evaluator *evaluator, const struct subnetwork *sub,
                                const struct image_set *images, real *statistics) {
    size_t size = pass_statistics(evaluator->pass)->size;
    memset(evaluator->sums, 0, size * sizeof(double));
    struct pass_batch batch = {.pictures = evaluator->pictures};
    for (int b = 0; b < batches_of(evaluator, images); b++) {
        int count;
        struct pass_result result;
        TRY(gather(evaluator, sub, images, b, &count));
        TRY(pass_forward(evaluator->pass, &batch, STATISTICS_BATCH, &result));
        TRY(pass_batch_statistics(evaluator->pass, evaluator->statistics));
        TRY(evaluator->memory->finish());
        for (size_t i = 0; i < size; i++)
            evaluator->sums[i] += (double)count * (double)evaluator->statistics[i];
    }
    for (size_t i = 0; i < size; i++)
        statistics[i] = (real)(evaluator->sums[i] / images->count);
    return STATUS_OK;
}

enum status evaluator_run(struct evaluator *evaluator, const struct subnetwork *sub,
                          const real *statistics, const struct image_set *images,
                          struct evaluation *evaluation) {
    *evaluation = (struct evaluation){.images = images->count};
    TRY(pass_set_statistics(evaluator->pass, statistics));
    struct pass_batch batch = {.pictures = evaluator->pictures, .labels = evaluator->labels};
    for (int b = 0; b < batches_of(evaluator, images); b++) {
        int count;
        struct pass_result result;
        TRY(gather(evaluator, sub, images, b, &count));
        TRY(pass_forward(evaluator->pass, &batch, STATISTICS_GIVEN, &result));
        evaluation->correct += result.correct;
        evaluation->loss += result.loss * count / images->count;
    }
    evaluation->accuracy = (double)evaluation->correct / images->count;
    return STATUS_OK;
}

enum status evaluator_predict(struct evaluator *evaluator, const struct subnetwork *sub,
                              const real *statistics, const struct image_set *images,
                              real *logits) {
    TRY(pass_set_statistics(evaluator->pass, statistics));
    struct pass_batch batch = {.pictures = evaluator->pictures};
    for (int b = 0; b < batches_of(evaluator, images); b++) {
        int count;
        struct pass_result result;
        TRY(gather(evaluator, sub, images, b, &count));
        TRY(pass_forward(evaluator->pass, &batch, STATISTICS_GIVEN, &result));
        TRY(pass_logits(evaluator->pass, count, logits));
        logits += (size_t)count * (size_t)evaluator->classes;
    }
    return STATUS_OK;
}

enum status evaluator_logits(struct evaluator *evaluator, const struct subnetwork *sub,
                             const real *statistics, const uint8_t *pictures, int images,
                             real *logits) {
    struct batch_group group = {.sub = sub, .images = images};
    struct pass_batch batch = {.pictures = pictures};
    struct pass_result result;
    TRY(pass_set_statistics(evaluator->pass, statistics));
    TRY(pass_set_groups(evaluator->pass, &group, 1));
    TRY(pass_forward(evaluator->pass, &batch, STATISTICS_GIVEN, &result));
    return pass_logits(evaluator->pass, images, logits);
}
