/* Everything that a training changes: flat vectors (parameters.h) and the step counter. */
#ifndef TAPER_STATE_H
#define TAPER_STATE_H

#include "cluster/cluster.h"
#include "network/parameters.h"
#include "training/training.h"

/* What the divergence guard (guard.h) remembers. */
struct guard {
    int64_t returns;               /* so far */
    int64_t good_step;             /* the step that follows the good state; -1: there is none yet */
    double mean_loss, lowest_loss; /* running mean, and its lowest value; 0: no loss yet */
};

struct training_state {
    size_t parameters, statistics; /* lengths of the vectors below */
    int64_t step;                  /* steps done */
    real *weights, *velocity;
    real *square;  /* RMSProp; else NULL */
    real *average; /* of the weights, with an EMA; else NULL */
    /* One network: running mean and variance, and their average as the weights have one. A
     * super-network has none: its statistics are estimated for each sub-network. */
    real *running, *average_running;
    struct guard guard;
    struct training_state *good; /* vectors to go back to, owned; NULL if guard_returns is 0 */
};

enum status state_create(struct training_state *state, const struct training_config *config,
                         size_t parameters, size_t statistics);
void state_release(struct training_state *state);

/* Of all its vectors, the good state's too: what it holds, and about what its file does. */
size_t state_bytes(const struct training_state *state);

/* Rank 0's state becomes that of all ranks, which have the same vectors. */
enum status state_broadcast(struct training_state *state, struct cluster *cluster);

/* The averages begin where the weights and statistics do: after these are filled in. */
void state_begin(struct training_state *state);

/* The vectors where operations work on them: those of `state` where their memory is the host's,
 * else a copy that is brought up to date in either direction. Step counter and guard stay with
 * `state`. */
enum status state_mirror(struct training_state *mirror, const struct training_state *state,
                         const struct memory *memory);
void state_mirror_release(struct training_state *mirror, const struct memory *memory);
enum status state_to_mirror(struct training_state *mirror, const struct training_state *state,
                            const struct memory *memory);
enum status state_from_mirror(struct training_state *state, const struct training_state *mirror,
                              const struct memory *memory);

/* The vectors alone, both sides being the operations'. */
enum status state_copy(struct training_state *to, const struct training_state *from,
                       const struct memory *memory);

/* What is evaluated and written as a result: the averages if there are any. */
const real *state_result(const struct training_state *state);
const real *state_result_statistics(const struct training_state *state);

#endif
