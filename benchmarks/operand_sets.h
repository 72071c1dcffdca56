/* Several passes over equal batches, so that an operation that is called again and again finds
 * other operands each time, as it does in a training step: not those that it left in a cache. */
#ifndef TAPER_BENCHMARK_OPERAND_SETS_H
#define TAPER_BENCHMARK_OPERAND_SETS_H

#include "supernet/pass_internal.h"

enum { MOST_SETS = 64 };

struct operand_sets {
    int count;
    struct pass *passes[MOST_SETS];
    real *weights, *gradient; /* of all */
};

/* Each has seen one batch of random pictures, so that all operands hold what they hold in training.
 * uniform: groups of random widths, the same in all sets; else full ones. */
enum status operand_sets_create(struct operand_sets *sets, int count, const struct network *network,
                                const struct ops *ops, int images, int groups, bool uniform);
void operand_sets_release(struct operand_sets *sets);

/* What a training step does with one operation of its list, in this order. */
enum call { CALL_PREPARE, CALL_FORWARD, CALL_NORM_FORWARD, CALL_NORM_BACKWARD, CALL_BACKWARD };
bool call_exists(const struct step *step, enum call call);
enum status operand_sets_call(const struct operand_sets *sets, int set, int step, enum call call);

#endif
