/* Ordered dropout's draws: which sub-network a group of a batch trains.
 *
 * Balanced (default): per choice a shuffled deck of its options, keyed by (seed, choice, round);
 * global group number n takes card n mod deck size of round n / deck size, so that every option
 * comes up once per round, across batches and ranks. Uniform: an independent draw per group.
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
};

struct subnetwork sampler_draw(const struct sampler *sampler, const struct network *network,
                               uint64_t group, double epoch);

#endif
