#include "commands/estimate.h"
#include "network/parameters.h"
#include "report/format.h"
#include "training/evaluation.h"
#include "training/state.h"

#include <math.h>
#include <stdio.h>

/* Bytes of the vectors that a network's training works on, and of all its parameters. */
struct step_bytes {
    double parameters, supernet, training;
};

static enum status state_bytes_for(const struct training_config *config, size_t parameters,
                                   size_t statistics, double *bytes) {
    struct training_state state;
    TRY(state_create(&state, config, parameters, statistics));
    *bytes = (double)state_bytes(&state);
    state_release(&state);
    return STATUS_OK;
}

static enum status count_bytes(const struct config *config, struct step_bytes *bytes) {
    struct parameters parameters = {0}, statistics = {0};
    enum status status;
    TRY_CLEANUP(parameters_of(&parameters, &config->network));
    TRY_CLEANUP(statistics_of(&statistics, &config->network));
    bytes->parameters = (double)parameters.size * sizeof(real);
    TRY_CLEANUP(state_bytes_for(&config->supernet.training, parameters.size, 0, &bytes->supernet));
    TRY_CLEANUP(state_bytes_for(&config->train.training, parameters.size, statistics.size,
                                &bytes->training));
done:
    parameters_release(&parameters);
    parameters_release(&statistics);
    return status;
}

static void print_bytes(const char *name, double bytes, const char *of) {
    char text[FORMAT_SIZE];
    printf(ESTIMATE_COLUMN "%s %s\n", name, format_bytes(text, bytes), of);
}

static void print_memory(const struct estimate *estimate, const struct step_bytes *bytes) {
    const struct config *config = estimate->config;
    const struct probe_memory *memory = &estimate->memory;
    int batch = config->supernet.training.batch_images, train = config->train.training.batch_images;
    int scored = evaluator_batch(&config->network);
    double teacher = config->train.distill > 0
                         ? pass_memory_of(&memory->evaluation, train) + bytes->parameters
                         : 0;
    char of[128];
    snprintf(of, sizeof of, "on %s for batches of %d images", estimate->ops->name, batch);
    print_bytes("super-network memory",
                pass_memory_of(&memory->training, batch) + bytes->supernet + bytes->parameters, of);
    snprintf(of, sizeof of, "on %s for batches of %d images", estimate->ops->name, scored);
    print_bytes("search memory", pass_memory_of(&memory->evaluation, scored), of);
    snprintf(of, sizeof of, "on %s for batches of %d images, at most (the initial network%s)",
             estimate->ops->name, train, teacher > 0 ? " and its answers" : "");
    print_bytes("training memory",
                pass_memory_of(&memory->training, train) + bytes->training + bytes->parameters +
                    teacher,
                of);
}

/* Of one picture in each size that the search may draw. */
static double picture_bytes(const struct network *network) {
    double bytes = 0;
    for (int i = 0; i < network_resolutions(network); i++) {
        struct resolution size = network_resolution(network, i);
        bytes += (double)size.height * size.width * network->channels;
    }
    return bytes;
}

static void print_pictures(const struct estimate *estimate) {
    const struct config *config = estimate->config;
    const struct picture_counts *counts = &estimate->counts;
    const struct network *network = &config->network;
    double test = (double)network->height * network->width * network->channels;
    double scored =
        fmin(config->search.calibration_images, counts->train) + estimate_holdout(config);
    char text[FORMAT_SIZE], more[FORMAT_SIZE], images[FORMAT_SIZE], tests[FORMAT_SIZE];
    if (counts->files == 0)
        return;
    printf(ESTIMATE_COLUMN "%s of the host for %s calibration and hold-out images",
           "pictures in memory", format_bytes(text, picture_bytes(network) * scored),
           format_count(images, scored));
    if (counts->used_test > 0)
        printf(", at the end %s for %s test images", format_bytes(more, test * counts->used_test),
               format_count(tests, counts->used_test));
    printf("\n");
}

static void print_disk(const struct estimate *estimate, const struct step_bytes *bytes) {
    const struct picture_counts *counts = &estimate->counts;
    char states[FORMAT_SIZE], weights[FORMAT_SIZE], found[FORMAT_SIZE], of[256];
    /* The newest state and the one before, of one step at a time. */
    double state = 2 * fmax(bytes->supernet, bytes->training);
    double networks = 2 * bytes->parameters; /* found.safetensors and found.onnx */
    snprintf(of, sizeof of,
             "in the run folder at most: states %s, super-network %s, found network %s and less",
             format_bytes(states, state), format_bytes(weights, bytes->parameters),
             format_bytes(found, networks));
    print_bytes("disk", state + bytes->parameters + networks, of);
    if (counts->files == 0)
        return;
    double entry = estimate->loader.file_bytes + 16; /* and its place in the index */
    snprintf(of, sizeof of, "for packs of the pictures as they are: %s training, %s test",
             format_count(states, counts->files), format_count(weights, counts->test));
    print_bytes("", (counts->files + counts->test) * entry, of);
}

enum status estimate_space(const struct estimate *estimate) {
    struct step_bytes bytes;
    TRY(count_bytes(estimate->config, &bytes));
    print_memory(estimate, &bytes);
    print_pictures(estimate);
    print_disk(estimate, &bytes);
    return STATUS_OK;
}
