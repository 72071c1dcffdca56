#include "commands/estimate.h"
#include "report/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double estimate_share(const struct config *config) {
    const struct search_config *search = &config->search;
    struct subnetwork largest = subnetwork_largest(&config->network);
    double share = 1;
    for (int i = 0; i < search->budget_count; i++) {
        double value = search->budgets[i].value, of_initial = search->budgets[i].share;
        if (strcmp(search->budgets[i].metric.name, "macs") == 0)
            return value > 0 ? value / network_cost(&config->network, &largest).macs : of_initial;
        if (share == 1 && value == 0)
            share = of_initial;
    }
    return share;
}

/* Samples of a coordinate descent: iterations until the falling steps add up (method 2.3). */
static double expected_samples(const struct search_config *search, double share) {
    if (search->total_samples > 0)
        return search->total_samples;
    double fallen = 0, fall = search->reduction;
    int iterations = 1;
    for (; fallen < 1 - share && iterations < 10000; iterations++) {
        fallen += fmax(fall, search->min_reduction);
        fall *= search->decay;
    }
    return (double)iterations * search->samples;
}

/* Seconds of one image in each step of a run: the pass, and all that it takes. */
struct image_seconds {
    double supernet, training, load;
};

static struct image_seconds image_seconds(const struct estimate *estimate) {
    const struct config *config = estimate->config;
    const struct probe *probe = &estimate->probe;
    double speed = estimate->loader.images_per_second, share = estimate_share(config);
    int batch = config->supernet.training.batch_images;
    struct image_seconds seconds = {.supernet = probe->step_seconds / batch,
                                    .training = probe->full_seconds / batch * share,
                                    .load = speed > 0 ? 1 / speed : 0};
    if (config->train.distill > 0) /* the teacher looks at every image, too */
        seconds.training += probe->image_seconds;
    return seconds;
}

/* A device waits for what the loader does not have ready; the CPU does the loader's work as well.
 */
static double with_data(const struct estimate *estimate, double pass, double load) {
    return estimate->ops->memory->separate ? fmax(pass, load) : pass + load;
}

void estimate_speed(const struct estimate *estimate) {
    const struct loader_probe *loader = &estimate->loader;
    const struct image_seconds image = image_seconds(estimate);
    const int batch = estimate->config->supernet.training.batch_images;
    char speed[FORMAT_SIZE], bytes[FORMAT_SIZE];
    printf(ESTIMATE_COLUMN "%s images/s, %.3f s for a batch of %d (probed with %d synthetic "
                           "pictures in %d groups on %s, %d threads)\n",
           "super-network step", format_count(speed, 1 / image.supernet),
           estimate->probe.step_seconds, batch, estimate->probe.images,
           estimate->config->supernet.subnets_per_batch, estimate->ops->name,
           pool_threads(estimate->pool));
    printf(ESTIMATE_COLUMN "%s images/s%s\n", "training step",
           format_count(speed, 1 / image.training),
           estimate->config->train.distill > 0 ? ", with the maximum network's answers" : "");
    if (loader->threads == 0)
        return;
    printf(ESTIMATE_COLUMN "%s images/s with %d thread%s, of %s", "loader",
           format_count(speed, loader->images_per_second), loader->threads,
           loader->threads == 1 ? "" : "s",
           loader->train_images == 0 ? "synthetic JPEG files of 500x375"
           : loader->file_bytes > 0  ? "the training part's files"
                                     : "the pictures in memory");
    if (loader->file_bytes > 0)
        printf(", %s each", format_bytes(bytes, loader->file_bytes));
    printf("\n" ESTIMATE_COLUMN
           "%.0f %% of the super-network's time, %.0f %% of the training's%s\n",
           estimate->ops->memory->separate ? "waiting for data" : "data",
           100 * (1 - image.supernet / with_data(estimate, image.supernet, image.load)),
           100 * (1 - image.training / with_data(estimate, image.training, image.load)),
           estimate->ops->memory->separate ? "" : ": the same cores make it");
}

static void print_step(const char *name, double seconds, const char *of) {
    char text[FORMAT_SIZE];
    printf(ESTIMATE_COLUMN "%s (%s)\n", name, format_duration(text, seconds), of);
}

/* Whether a budget's metric takes time of its own: not counted here. */
static bool has_slow_budget(const struct search_config *search) {
    for (int i = 0; i < search->budget_count; i++)
        if (metric_costs_time(&search->budgets[i].metric))
            return true;
    return false;
}

double estimate_holdout(const struct config *config) {
    return config->search.holdout_images > 0 ? config->search.holdout_images
                                             : config->data.holdout_images;
}

void estimate_times(const struct estimate *estimate) {
    const struct config *config = estimate->config;
    const struct image_seconds image = image_seconds(estimate);
    int batch = config->supernet.training.batch_images;
    double images = estimate->counts.train, share = estimate_share(config);
    double samples = expected_samples(&config->search, share);
    double scored = config->search.calibration_images + estimate_holdout(config);
    double steps = config->supernet.training.epochs * floor(images / batch);
    double trained = images + (config->train.use_holdout ? config->data.holdout_images : 0);
    char of[128];
    if (images == 0)
        return;
    snprintf(of, sizeof of, "%.0f steps", steps);
    print_step("super-network", steps * batch * with_data(estimate, image.supernet, image.load),
               of);
    snprintf(of, sizeof of, "about %.0f samples on %.0f images each%s", samples, scored,
             has_slow_budget(&config->search) ? ", and the time that measuring takes" : "");
    print_step("search", samples * scored * estimate->probe.image_seconds * (1 + share) / 2, of);
    snprintf(of, sizeof of, "%g epochs of %.0f images at %.0f %% of the MACs",
             config->train.training.epochs, trained, 100 * share);
    print_step("training",
               config->train.training.epochs * trained *
                   with_data(estimate, image.training, image.load),
               of);
}
