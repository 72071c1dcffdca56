#include "training/trained.h"
#include "export/names.h"
#include "support/file.h"
#include "support/memory.h"
#include "training/run.h"
#include "training/train_found.h"
#include "training/weights_file.h"

#include <stdio.h>
#include <stdlib.h>

static enum status path_of(const struct config *config, const char *name, const char *ending,
                           char path[RUN_PATH]) {
    snprintf(path, RUN_PATH, "%s/%s.%s", config->out, name, ending);
    if (!file_exists(path))
        return fail(STATUS_USAGE,
                    "there is no trained network %s; train it with `taper run` or `taper train`",
                    path);
    return STATUS_OK;
}

static enum status read_parts(struct trained *trained, const struct config *config,
                              const char *name) {
    char yaml[RUN_PATH], weights[RUN_PATH], hash[64];
    TRY(path_of(config, name, "yaml", yaml));
    TRY(path_of(config, name, "safetensors", weights));
    /* refuses another version's */
    TRY(weights_metadata(weights, found_format, "config_hash", hash, sizeof hash));
    TRY(network_read(&trained->network, yaml));
    TRY(parameters_of(&trained->parameters, &trained->network));
    TRY(statistics_of(&trained->statistics, &trained->network));
    names_timm(&trained->network, &trained->parameters);
    names_timm(&trained->network, &trained->statistics);
    TRY(allocate(&trained->weights, trained->parameters.size + READ_SLACK, sizeof(real),
                 "the weights"));
    TRY(allocate(&trained->running, trained->statistics.size + READ_SLACK, sizeof(real),
                 "the running statistics"));
    return weights_read(weights, &trained->parameters, trained->weights, &trained->statistics,
                        trained->running);
}

enum status trained_read(struct trained *trained, const struct config *config, const char *name) {
    *trained = (struct trained){0};
    enum status status = read_parts(trained, config, name);
    if (status != STATUS_OK)
        trained_close(trained);
    return status;
}

enum status trained_open(struct trained *trained, const struct config *config, const char *name,
                         const struct ops *ops, struct pool *pool) {
    struct pass_options options = run_pass_options(config);
    enum status status;
    TRY(trained_read(trained, config, name));
    TRY_CLEANUP(evaluator_create(&trained->evaluator, &trained->network, ops, pool, &options));
    TRY_CLEANUP(evaluator_weights(trained->evaluator, trained->weights));
done:
    if (status != STATUS_OK)
        trained_close(trained);
    return status;
}

void trained_close(struct trained *trained) {
    evaluator_release(trained->evaluator);
    free(trained->weights);
    free(trained->running);
    parameters_release(&trained->parameters);
    parameters_release(&trained->statistics);
    network_release(&trained->network);
    *trained = (struct trained){0};
}

enum status trained_predict(struct trained *trained, const struct pictures *pictures,
                            real *logits) {
    struct subnetwork whole = subnetwork_largest(&trained->network);
    const struct image_set images = {.pictures = pictures, .count = pictures->count};
    const struct network *network = &trained->network;
    if (pictures->height != network->height || pictures->width != network->width ||
        pictures->channels != network->channels)
        return fail(STATUS_USAGE,
                    "the network reads pictures of %dx%d with %d channels, not of %dx%d with %d",
                    network->height, network->width, network->channels, pictures->height,
                    pictures->width, pictures->channels);
    if (pictures->labels != NULL && pictures->classes > network->classes)
        return fail(STATUS_USAGE, "the network tells %d classes apart, but the pictures have %d",
                    network->classes, pictures->classes);
    return evaluator_predict(trained->evaluator, &whole, trained->running, &images, logits);
}
