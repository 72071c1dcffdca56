#include "commands/probe.h"
#include "search/scoring.h"
#include "training/run.h"

/* Passes have fixed shards from here on, so that what they hold grows by the image alone. */
enum { LEAST_IMAGES = 16 };

static enum status pass_bytes_for(const struct config *config, const struct ops *ops,
                                  struct pool *pool, const struct pass_options *options,
                                  double *bytes) {
    struct pass *pass;
    TRY(pass_create(&pass, &config->network, ops, pool, options));
    *bytes = (double)pass_bytes(pass);
    pass_release(pass);
    return STATUS_OK;
}

/* Two small passes tell the line. */
static enum status line_of(struct pass_memory *memory, const struct config *config,
                           const struct ops *ops, struct pool *pool, int groups, bool backward) {
    struct pass_options options = run_pass_options(config);
    double bytes[2];
    int images = (LEAST_IMAGES + groups - 1) / groups * groups;
    options.groups = groups;
    options.backward = backward;
    options.branches = backward ? 1 : SCORED_TOGETHER;
    options.shared_norm = backward && config->supernet.shared_norm;
    for (int i = 0; i < 2; i++) {
        options.images = (i + 1) * images;
        TRY(pass_bytes_for(config, ops, pool, &options, &bytes[i]));
    }
    memory->image = (bytes[1] - bytes[0]) / images;
    memory->fixed = bytes[0] - memory->image * images;
    return STATUS_OK;
}

enum status probe_memory_run(struct probe_memory *memory, const struct config *config,
                             const struct ops *ops, struct pool *pool) {
    TRY(line_of(&memory->training, config, ops, pool, config->supernet.subnets_per_batch, true));
    return line_of(&memory->evaluation, config, ops, pool, 1, false);
}
