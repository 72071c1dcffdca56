/* Step 1 of a run: the super-network, trained with ordered dropout (method 2.2). */
#ifndef TAPER_TRAIN_SUPERNET_H
#define TAPER_TRAIN_SUPERNET_H

#include "training/run.h"

/* Does nothing when supernet.safetensors is done. A finished super-network of other keys is never
 * replaced: that is an error. */
enum status train_supernet(struct run *run);

/* Also an error when the folder holds a finished super-network of other keys. */
enum status supernet_is_done(const struct run *run, bool *done);

/* Copies another run's super-network into the folder, if its keys agree. */
enum status supernet_adopt(struct run *run, const char *path);

/* Rank 0 reads supernet.safetensors for all into weights[parameters->size]; it must be done. */
enum status supernet_weights(const struct run *run, const struct parameters *parameters,
                             real *weights);

#endif
