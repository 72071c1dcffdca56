/* Shrinking layers of a sub-network at random until its metrics meet targets (method 2.3).
 */
#ifndef TAPER_SHRINK_H
#define TAPER_SHRINK_H

#include "search/ledger.h"
#include "search/strategy.h"
#include "support/random.h"

/* The pictures, whose resolution shrinks as a layer does. */
enum { LAYER_PICTURES = -1 };

struct layer_list {
    int count, layers[MAX_LAYERS + 1];
};

/* Layers with a choice that can still shrink, and behind them LAYER_PICTURES if theirs can. Layers
 * with exactly the same such choices (tied ones) are one and count once. */
void layers_to_shrink(const struct network *network, const struct subnetwork *sub,
                      struct layer_list *list);

/* All metrics of a sub-network, slow ones from the ledger where it has them. */
enum status measure(const struct search_space *space, struct ledger *ledger,
                    const struct subnetwork *sub, double metrics[MAX_BUDGETS]);

/* Shrinks sample->sub (canonical) and fills sample->metrics: repeatedly picks one of the layers
 * uniformly, then one of its choices that can still shrink uniformly, and takes the next smaller
 * option, until every metric is at or under its target. Takes no step when they are already. *met
 * false: the layers are exhausted. */
enum status shrink(const struct search_space *space, struct ledger *ledger,
                   const struct layer_list *layers, const double targets[MAX_BUDGETS],
                   struct random_sequence *random, struct sample *sample, bool *met);

#endif
