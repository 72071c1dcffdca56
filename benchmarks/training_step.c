#include "training_step.h"
#include "supernet/sampler.h"
#include "support/memory.h"
#include "support/random.h"

#include <stdlib.h>
#include <string.h>

double clock_seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median_of_times(double *times, int count) {
    qsort(times, (size_t)count, sizeof *times, by_value);
    return times[count / 2];
}

static enum status take(const struct training_step *step, void *memory, size_t bytes,
                        const void *content) {
    void *taken = NULL;
    TRY(step->ops->memory->take(&taken, bytes, "the benchmark"));
    memcpy(memory, &taken, sizeof taken);
    return content ? step->ops->memory->copy(taken, content, bytes) : STATUS_OK;
}

static enum status fill_vectors(struct training_step *step) {
    const struct parameters *parameters = pass_parameters(step->pass);
    size_t bytes = (parameters->size + READ_SLACK) * sizeof(real);
    real *weights;
    TRY(allocate(&weights, bytes, 1, "weights"));
    parameters_initialise(parameters, 1, weights);
    TRY(take(step, &step->weights, bytes, weights));
    TRY(take(step, &step->gradient, bytes, NULL));
    free(weights);
    return take(step, &step->velocity, bytes, NULL);
}

static enum status fill_batch(struct training_step *step) {
    const struct network *network = step->network;
    size_t bytes = (size_t)network->height * network->width * network->channels * step->images;
    uint8_t *pictures;
    int labels[MOST_IMAGES];
    TRY(allocate(&pictures, bytes, 1, "pictures"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < bytes; i++)
        pictures[i] = (uint8_t)random_below(&random, 256);
    for (int i = 0; i < step->images; i++)
        labels[i] = (int)random_below(&random, (uint32_t)network->classes);
    TRY(take(step, &step->batch.pictures, bytes, pictures));
    TRY(take(step, &step->batch.labels, step->images * sizeof(int), labels));
    free(pictures);
    return step->ops->memory->finish();
}

enum status training_step_create(struct training_step *step, struct pool *pool, bool shared_norm) {
    struct pass_options options = {.images = step->images,
                                   .groups = step->groups,
                                   .backward = true,
                                   .shared_norm = shared_norm,
                                   .epsilon = 1e-5f,
                                   .mean = {.5f, .5f, .5f},
                                   .deviation = {.25f, .25f, .25f}};
    TRY(pass_create(&step->pass, step->network, step->ops, pool, &options));
    TRY(fill_vectors(step));
    return fill_batch(step);
}

enum status training_step_draw(struct training_step *step, int number) {
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM, .batch_groups = step->groups};
    struct batch_group groups[MOST_IMAGES];
    for (int g = 0; g < step->groups; g++) {
        step->subs[g] = step->full ? subnetwork_largest(step->network)
                                   : sampler_draw(&sampler, step->network,
                                                  (uint64_t)number * step->groups + g, 0);
        groups[g] = (struct batch_group){&step->subs[g], step->images / step->groups};
    }
    return pass_set_groups(step->pass, groups, step->groups);
}

enum status training_step_gradient(struct training_step *step) {
    struct pass_result result;
    TRY(pass_set_parameters(step->pass, step->weights));
    return pass_forward_backward(step->pass, &step->batch, step->gradient, &result);
}

enum status training_step_update(struct training_step *step) {
    struct update update = {.kind = OPTIMISER_SGD, .rate = 0.05f, .momentum = 0.9f, .decay = 1e-4f};
    TRY(step->ops->update(&update, pass_parameters(step->pass)->size, step->weights, step->gradient,
                          step->velocity, NULL));
    return step->ops->memory->finish();
}
