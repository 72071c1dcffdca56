/* How commands begin and end: a run folder opened from the options, and the result as a sentence.
 */
#ifndef TAPER_STEPS_H
#define TAPER_STEPS_H

#include "commands/options.h"
#include "training/run.h"

/* Reads the configuration, opens and locks the folder, catches Ctrl-C. */
enum status steps_open(struct run *run, const struct options *options);

/* A command that makes results, from the parsed options (argv: `taper NAME` and all it was given)
 * to its end. On several ranks (--ranks, or the launcher that started this process) all do `work`,
 * and rank 0 alone touches the folder. Takes over a --supernet and writes config.yaml; a folder
 * whose super-network is of other keys is left as it is, with an error. For a command that
 * searches, budgets that cannot be met end it before anything is written. */
enum steps_kind { STEPS_TRAIN, STEPS_SEARCH };
enum status steps_execute(const struct options *options, char **argv, enum steps_kind kind,
                          enum status (*work)(struct run *run, const struct options *options));

/* Of rank 0; the others go on. Writes report.html of what the folder holds by now. Results do not
 * depend on it: when it fails, that is a warning. */
enum status steps_report(struct run *run);

/* "found"; "found-N" for a point of the trade-off curve, "found-sample-N" for a sample. */
const char *steps_name(const struct options *options, char name[32]);

/* Trains, exports and evaluates the network found, or the one asked for; then prints the line
 * that a person can quote and appends the "done" object to log.jsonl. */
enum status steps_train(struct run *run, const struct options *options);

#endif
