/* A trained network on the test images: evaluation.json of the run folder. */
#ifndef TAPER_EVALUATE_FOUND_H
#define TAPER_EVALUATE_FOUND_H

#include "training/predictions.h"
#include "training/run.h"

/* Writes the evaluation file of the network `name` (evaluation.json, of found-N evaluation-N.json)
 * and, with a path, all its logits there. The tables are the caller's to release, on failure too.
 */
enum status evaluate_found(struct run *run, const char *name, const char *predictions_path,
                           struct tables *tables);

/* The evaluation file is there and not older than the network's weights. */
bool evaluation_is_done(const struct run *run, const char *name);

#endif
