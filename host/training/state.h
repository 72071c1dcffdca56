/* Everything that a training changes: flat vectors (parameters.h) and the step counter. */
#ifndef TAPER_STATE_H
#define TAPER_STATE_H

#include "network/parameters.h"
#include "training/training.h"

struct training_state {
    size_t parameters, statistics; /* lengths of the vectors below */
    int64_t step;                  /* steps done */
    real *weights, *velocity;
    real *square;  /* RMSProp; else NULL */
    real *average; /* of the weights, with an EMA; else NULL */
    /* One network: running mean and variance, and their average as the weights have one. A
     * super-network has none: its statistics are estimated for each sub-network. */
    real *running, *average_running;
};

enum status state_create(struct training_state *state, const struct training_config *config,
                         size_t parameters, size_t statistics);
void state_release(struct training_state *state);

/* The averages begin where the weights and statistics do: after these are filled in. */
void state_begin(struct training_state *state);

/* The vectors where operations work on them: those of `state` where their memory is the host's, else
 * a copy that is brought up to date in either direction. The step counter stays with `state`. */
enum status state_mirror(struct training_state *mirror, const struct training_state *state,
                         const struct memory *memory);
void state_mirror_release(struct training_state *mirror, const struct memory *memory);
enum status state_to_mirror(struct training_state *mirror, const struct training_state *state,
                            const struct memory *memory);
enum status state_from_mirror(struct training_state *state, const struct training_state *mirror,
                              const struct memory *memory);

/* What is evaluated and written as a result: the averages if there are any. */
const real *state_result(const struct training_state *state);
const real *state_result_statistics(const struct training_state *state);

#endif
