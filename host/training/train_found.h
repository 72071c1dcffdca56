/* Step 3 of a run: a network that the search found, trained alone (method 2.5). */
#ifndef TAPER_TRAIN_FOUND_H
#define TAPER_TRAIN_FOUND_H

#include "training/run.h"

/* NAME.yaml -> NAME.safetensors: weights, running statistics, and in the metadata the accuracy on
 * the test images, which are read here and by `taper evaluate` only. Does nothing when done. */
enum status train_found(struct run *run, const char *name);

/* An error unless NAME.safetensors is what train_found() makes with the run's keys. */
enum status found_must_be_done(const struct run *run, const char *name);

/* Before any work: can the file be read that a training yet to come starts from (train.init)? */
enum status found_check_init(const struct run *run);

/* What a training depends on: its keys, and the text of NAME.yaml. The result carries it as
 * config_hash. */
enum status found_hash(const struct config *config, const char *yaml, size_t size, uint64_t *hash);

/* Its metadata "format". */
extern const char found_format[];

/* What a done NAME.safetensors says of itself. */
enum status found_accuracy(const struct run *run, const char *name, double *accuracy);
enum status found_cost(const struct run *run, const char *name, struct cost *cost);

#endif
