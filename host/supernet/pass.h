/* One forward and backward pass over a batch of groups, each running its own sub-network.
 *
 * A pass owns all buffers of the largest batch (one arena, nothing is allocated later), the list of
 * operations of the network, and the batch-norm rows. The caller owns parameters and statistics
 * (flat vectors laid out by parameters.h) and the pool. Not to be used from two threads. Of a pass
 * with a cluster all ranks make the same calls, with the same groups and parameters.
 */
#ifndef TAPER_PASS_H
#define TAPER_PASS_H

#include "cluster/cluster.h"
#include "network/network.h"
#include "network/parameters.h"
#include "ops.h"
#include "support/pool.h"

struct pass;

struct pass_options {
    int images;       /* largest batch */
    int groups;       /* largest number of groups in a batch */
    int shards;       /* fixed pieces of a batch, each with its own gradient accumulators, added in
                         order: results depend on it, not on the number of threads. 0: 16 */
    bool backward;    /* buffers for training; else forward only */
    bool shared_norm; /* batch-norm over all images that keep a channel, else per group */
    bool folded; /* the parameters are fold_norms()'s: convolutions have biases and there are no
                    batch-norms. For runs with STATISTICS_GIVEN, of which there are none */
    struct cluster *cluster;    /* whose ranks take ranges of a batch's shards, or NULL; not with
                                   operations whose memory is separate */
    real epsilon;               /* of batch-norms */
    real mean[4], deviation[4]; /* of the pictures' channels, values in 0..1 */
};

/* network must outlive the pass. */
enum status pass_create(struct pass **created, const struct network *network, const struct ops *ops,
                        struct pool *pool, const struct pass_options *options);
void pass_release(struct pass *pass);

const struct parameters *pass_parameters(const struct pass *pass);
const struct parameters *pass_statistics(const struct pass *pass);

struct batch_group {
    const struct subnetwork *sub;
    int images;
};

/* The groups of the following runs, in the order of their images. All have one resolution; where
 * that is another than before, the pass is made for it within its memory, and what the last run
 * left is lost. */
enum status pass_set_groups(struct pass *pass, const struct batch_group *groups, int count);

/* The images of those groups that this rank works on; alone: all of them. */
struct image_range {
    int first, count;
};
struct image_range pass_own_images(const struct pass *pass);
/* Ranks that such a batch has work for; the others would stand idle. */
int pass_most_ranks(const struct pass *pass);

/* Where the batch-norms get their statistics from. */
enum statistics_source {
    STATISTICS_BATCH, /* this batch: training, and calibration */
    STATISTICS_GIVEN  /* the vector set by pass_set_statistics: evaluation */
};

/* Takes over the weights; after every change of the parameters. Vectors of parameters, gradients
 * and statistics may lie in the host's memory or in that of the operations, except where a comment
 * says which. */
enum status pass_set_parameters(struct pass *pass, const real *values);
/* Statistics of ONE sub-network (evaluation has one group). */
enum status pass_set_statistics(struct pass *pass, const real *statistics);

struct pass_batch {          /* of the own images, all in the host's memory */
    const uint8_t *pictures; /* [image][height][width][channels], of the groups' resolution */
    const int *labels;       /* NULL: no loss */
    const real *weights;     /* [image] or NULL */
    const real *teacher;     /* [image][classes] logits or NULL */
    real smoothing, teacher_weight, temperature;
};

struct pass_result { /* of the whole batch, the same on all ranks */
    double loss;     /* mean over the batch's images */
    int correct;
    const double *losses; /* [image], valid until the next run */
    const uint8_t *hits;  /* [image] */
};

enum status pass_forward(struct pass *pass, const struct pass_batch *batch,
                         enum statistics_source source, struct pass_result *result);
/* gradient[parameters.size]: set (not added to), in memory of the operations. Statistics come from
 * the batch. */
enum status pass_forward_backward(struct pass *pass, const struct pass_batch *batch, real *gradient,
                                  struct pass_result *result);

/* After a run with statistics of the batch and ONE group: its means and (biased) variances, laid
 * out as pass_statistics(). */
enum status pass_batch_statistics(const struct pass *pass, real *statistics);
/* The pictures of the last run where a device keeps them: a batch that names these is not moved
 * again. NULL: operations read the host's memory. */
const uint8_t *pass_device_pictures(const struct pass *pass);
/* Logits of the last run, [image][classes], to the host. */
enum status pass_logits(const struct pass *pass, int images, real *logits);

/* Time and counted work per operation, for benchmarks: off (NULL) by default. */
struct pass_profile_row {
    const char *layer, *operation;
    bool backward;
    double seconds;     /* summed over workers */
    double macs, bytes; /* counted for the groups set: what the operation needs at least */
};
enum status pass_profile(struct pass *pass, bool on);
int pass_profile_rows(const struct pass *pass, struct pass_profile_row *rows, int most);

size_t pass_bytes(const struct pass *pass); /* memory that it holds */
int pass_guards_broken(const struct pass *pass);

#endif
