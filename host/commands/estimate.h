/* What `taper estimate` measures and counts before a run, one file for each kind of answer. Lines
 * of the output begin with a name in a column of ESTIMATE_COLUMN. */
#ifndef TAPER_ESTIMATE_H
#define TAPER_ESTIMATE_H

#include "commands/probe.h"
#include "commands/probe_loader.h"

#define ESTIMATE_COLUMN "%-22s "

struct estimate {
    const struct config *config;
    const struct ops *ops;
    struct pool *pool;
    struct probe_memory memory;
    struct probe probe;
    struct loader_probe loader;
    struct picture_counts { /* 0: not known, or in memory (idx) but for `train` */
        double train;       /* that a training reads in an epoch */
        double files;       /* of the training part: those, the hold-out's and what is not used */
        double test, used_test;
    } counts;
};

/* The share of the initial network's MACs that the found network is thought to have: what a budget
 * of MACs asks for, else what the first budget with a share does; 1 when none has one. */
double estimate_share(const struct config *config);

/* Hold-out images that score a sample of the search. */
double estimate_holdout(const struct config *config);

/* How many pictures there are, or ImageNet has; says what they are when they are no count of files.
 */
void estimate_pictures(struct estimate *estimate);

/* Memory of each step, and what lies on the disk. */
enum status estimate_space(const struct estimate *estimate);

/* Images a second of a step and of the loader, and hours of each step of the run. */
void estimate_speed(const struct estimate *estimate);
void estimate_times(const struct estimate *estimate);

#endif
