/* Ordered dropout's draws: which sub-network a group of a batch trains.
 *
 * Balanced (default): per choice a shuffled deck of its options, keyed by (seed, choice, round);
 * global group number n takes card n mod deck size of round n / deck size, so that every option
 * comes up once per round, across batches and ranks. Uniform: an independent draw per group.
 * All groups of a batch have one resolution, so that a pass stays one set of tensors: batches take
 * its cards as groups take the others'.
 * A `present` choice is dealt from as many "present" cards as its block has widths, plus one
 * "absent". Warm-up: at epoch e of W only the largest 1 + (n - 1) e / W options (rounded).
 */
#ifndef TAPER_SAMPLER_H
#define TAPER_SAMPLER_H

#include "network/network.h"
#include <stdint.h>

enum draw_kind { DRAW_BALANCED, DRAW_UNIFORM };

struct sampler {
    uint64_t seed;
    enum draw_kind kind;
    double warmup_epochs;
    int batch_groups; /* groups of a batch; where pictures have one size it does not matter */
};

struct subnetwork sampler_draw(const struct sampler *sampler, const struct network *network,
                               uint64_t group, double epoch);

/* The option of a batch's resolution, for which `batch` counts as `group` does: that of all
 * sub-networks drawn for it. */
int sampler_resolution(const struct sampler *sampler, const struct network *network, uint64_t batch,
                       double epoch);

#endif
