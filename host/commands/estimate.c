/* taper estimate: size, memory, time and disk of a run, before it. */
#include "commands/estimate.h"
#include "commands/commands.h"
#include "commands/options.h"
#include "report/format.h"
#include "training/run.h"

#include <stdio.h>

static void print_cost(const char *which, const struct network *network,
                       const struct subnetwork *sub) {
    char parameters[FORMAT_SIZE], macs[FORMAT_SIZE];
    struct cost cost = network_cost(network, sub);
    printf(ESTIMATE_COLUMN "%s parameters, %s MACs\n", which,
           format_millions(parameters, cost.parameters, 3), format_millions(macs, cost.macs, 1));
}

static void print_costs(const struct network *network) {
    struct subnetwork largest = subnetwork_largest(network);
    struct subnetwork smallest = subnetwork_smallest(network);
    print_cost("initial network", network, &largest);
    print_cost("smallest sub-network", network, &smallest);
    fflush(stdout); /* measuring takes a while */
}

static enum status estimate(const struct config *config, const struct ops *ops, struct pool *pool) {
    struct estimate estimate = {.config = config, .ops = ops, .pool = pool};
    print_costs(&config->network);
    TRY(loader_probe_run(&estimate.loader, config, ops, pool));
    TRY(probe_memory_run(&estimate.memory, config, ops, pool));
    TRY(probe_run(&estimate.probe, config, &estimate.memory, ops, pool));
    estimate_pictures(&estimate);
    TRY(estimate_space(&estimate));
    estimate_speed(&estimate);
    estimate_times(&estimate);
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
    "estimate", "Parameters, MACs, memory, time and disk of a run, before it", execute};
