/* taper estimate: size, memory and time of a run, before it. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/probe.h"
#include "report/format.h"
#include "training/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void print_cost(const char *which, const struct network *network,
                       const struct subnetwork *sub) {
    char parameters[FORMAT_SIZE], macs[FORMAT_SIZE];
    struct cost cost = network_cost(network, sub);
    printf("%-22s %s parameters, %s MACs\n", which, format_millions(parameters, cost.parameters, 3),
           format_millions(macs, cost.macs, 1));
}

/* The share of the initial network's MACs that the search is asked for; 1 when it names none. */
static double macs_share(const struct config *config) {
    struct subnetwork largest = subnetwork_largest(&config->network);
    double macs = network_cost(&config->network, &largest).macs;
    for (int i = 0; i < config->search.budget_count; i++)
        if (strcmp(config->search.budgets[i].metric.name, "macs") == 0)
            return config->search.budgets[i].value > 0 ? config->search.budgets[i].value / macs
                                                       : config->search.budgets[i].share;
    return 1;
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

static void print_step(const char *name, double seconds, const char *of) {
    char text[FORMAT_SIZE];
    printf("%-22s %s (%s)\n", name, format_duration(text, seconds), of);
}

/* images: of the training set, 0 when it is not known yet. */
static void print_times(const struct config *config, const struct probe *probe, double images) {
    double share = macs_share(config), samples = expected_samples(&config->search, share);
    double pictures = config->search.calibration_images + (config->search.holdout_images > 0
                                                               ? config->search.holdout_images
                                                               : config->data.holdout_images);
    double steps =
        config->supernet.training.epochs * floor(images / config->supernet.training.batch_images);
    double image = probe->full_seconds / config->supernet.training.batch_images * share;
    char of[128];
    snprintf(of, sizeof of, "%.0f steps", steps);
    print_step("super-network", steps * probe->step_seconds, of);
    snprintf(of, sizeof of, "about %.0f samples on %.0f images each", samples, pictures);
    print_step("search", samples * pictures * probe->image_seconds * (1 + share) / 2, of);
    snprintf(of, sizeof of, "%g epochs of %.0f images at %.0f %% of the MACs",
             config->train.training.epochs, images, 100 * share);
    print_step("training", config->train.training.epochs * images * image, of);
}

static enum status training_images(const struct config *config, double *images) {
    struct pictures pictures = {0};
    if (config->data.train_images > 0) {
        *images = config->data.train_images;
        return STATUS_OK;
    }
    TRY(pictures_load(&pictures, &config->data, DATA_TRAIN));
    *images = pictures.count - config->data.holdout_images;
    pictures_release(&pictures);
    return STATUS_OK;
}

static enum status estimate(const struct config *config, const struct ops *ops, struct pool *pool) {
    struct subnetwork largest = subnetwork_largest(&config->network);
    struct subnetwork smallest = subnetwork_smallest(&config->network);
    struct probe probe;
    double images;
    char memory[FORMAT_SIZE];
    print_cost("initial network", &config->network, &largest);
    print_cost("smallest sub-network", &config->network, &smallest);
    fflush(stdout);
    TRY(probe_run(&probe, config, ops, pool));
    printf("%-22s %s for a batch of %d images\n", "memory of the pass",
           format_bytes(memory, probe.bytes), config->supernet.training.batch_images);
    printf("%-22s %.3f s (probed with %d synthetic pictures in %d groups on %s, %d threads)\n",
           "super-network step", probe.step_seconds, probe.images,
           config->supernet.subnets_per_batch, ops->name, pool_threads(pool));
    if (training_images(config, &images) != STATUS_OK) {
        printf("no times of whole steps: %s\n", failure());
        failure_clear();
        return STATUS_OK;
    }
    print_times(config, &probe, images);
    return STATUS_OK;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct config config;
    struct pool *pool = NULL;
    const struct ops *ops;
    char reason[BACKEND_REASON];
    enum status status;
    TRY(options_parse(&options, OPTIONS_PLAIN, command_estimate.summary, argc, argv));
    TRY(options_read_config(&options, &config));
    TRY_CLEANUP(pool_create(&pool, run_threads(&config)));
    TRY_CLEANUP(backend_choose(config.device, config.backend, config.precision, &ops, reason));
    TRY_CLEANUP(estimate(&config, ops, pool));
done:
    pool_release(pool);
    config_release(&config);
    return status;
}

const struct command command_estimate = {
    "estimate", "Parameters, MACs, memory and time of a run, before it", execute};
