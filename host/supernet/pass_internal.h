/* What a pass is made of; shared by the files of this folder only.
 *
 * build.c turns a network into a list of steps, whose memory buffers.c takes and layout.c arranges;
 * pass.c holds parameters and statistics; batch.c cuts a batch into shards; run.c runs the list,
 * step.c calls its operations; share.c is what ranks exchange; work.c counts what they need,
 * profile.c times them.
 */
#ifndef TAPER_PASS_INTERNAL_H
#define TAPER_PASS_INTERNAL_H

#include "supernet/pass.h"
#include "support/memory.h"

enum step_kind {
    STEP_DENSE,
    STEP_POINTWISE,
    STEP_DEPTHWISE,
    STEP_SQUEEZE_EXCITE,
    STEP_COMBINE,
    STEP_POOL
};

/* One operation of the network with everything that it reads and writes. The order of the list is
 * the order of the forward pass. */
struct step {
    enum step_kind kind;
    const char *name;
    int layer;
    enum parameter_part part; /* of a convolution */
    union {
        struct convolution convolution;
        struct squeeze_excite squeeze_excite;
        struct combine combine;
        struct pool_mean pool;
    };
};

static inline bool step_is_convolution(const struct step *step) {
    return step->kind <= STEP_DEPTHWISE;
}

/* The widths of one layer in every group of the batch: [group] each. */
struct layer_widths {
    int *filters, *out, *expand, *squeeze, *kernel;
};
enum { WIDTHS_PER_LAYER = 5, MAX_PICTURE_CHANNELS = 4 };

/* A shard has at most one segment per group. */
enum { MAX_SHARDS = 64, MAX_GROUPS = 1024, MAX_IMAGES = 65535 };

/* A piece of the batch that one worker takes through an operation, or, where no statistics cross
 * pieces, through the whole pass. */
struct shard {
    int first_segment, segments;
    int images;
    double macs; /* to deal the expensive ones first */
};

/* What a run depends on beside the contents of memory: runs that agree can be replayed. */
struct run_key {
    bool batch_statistics, backward, prepare, labels, weights;
    int images, segment_count;
    uint64_t partition; /* hash of the segments */
    const real *gradient, *teacher;
    real smoothing, teacher_weight, temperature;
};
struct recorded {
    struct run_key key;
    int seen; /* runs with this key */
    struct recording *recording;
};
enum { RECORDINGS = 8 };

struct pass {
    const struct network *network;
    const struct ops *ops;
    struct pool *pool;
    struct pass_options options;
    struct parameters parameters, statistics;
    int resolution; /* option of the pictures' size that steps and tensors are made for */

    struct arena *arena; /* what the host works with, and, where memory is one, everything */
    void *device;        /* what operations work on, where their memory is separate; else NULL */
    int step_count;
    struct step *steps;
    int convolution_count;
    const struct convolution **convolutions; /* of the steps */
    int tensor_count;
    struct tensor *tensors; /* that views point to */
    int norm_count;
    struct batch_norm *norms;
    struct layer_widths *widths; /* [layer] */
    int *width_memory; /* all of them, and the pictures' channels, as the host sees them */
    size_t width_count;
    int *device_widths;    /* the same where operations read them: tensors point there */
    int *picture_channels; /* [group] kept of the input tensor, in device_widths */
    struct normalise_pictures pictures;
    struct view logits; /* tensor and gradient of the last layer */
    int slots;          /* images that every activation buffer has room for */
    size_t bytes;       /* of arena and device memory */

    /* the batch, set by pass_set_groups */
    int images, groups, segment_count, shard_count;
    struct share *share;
    int own_shard, own_shards; /* this rank's: the first, and how many */
    struct image_range own;    /* its images, which all that is per image counts from */
    bool
        whole_groups; /* statistics do not cross shards: each runs without waiting for the others */
    bool worker_slots; /* a worker's shards use the same buffers one after the other */
    int largest_shard;
    struct segment *segments;
    struct segment *device_segments;
    struct shard *shards;
    int *order; /* own shards by falling cost */

    real *values;    /* the parameters */
    bool prepared;   /* the operations' layouts are those of `values` */
    real *gradients; /* [own shard][parameters.size], each with slack; one shard: NULL */
    size_t gradient_stride;
    void **scratch;             /* [worker] */
    struct pass_batch operands; /* a batch where operations read it, if memory is separate */
    real *picture_mean, *picture_deviation;
    double *losses; /* [image], as the host reads them, and as operations write them */
    uint8_t *hits;
    double *device_losses;
    uint8_t *device_hits;
    real *logit_rows;          /* [image][classes], of operations */
    real *given_statistics;    /* copy; in the norms' rows while given_applied */
    real *measured_statistics; /* of the last run with statistics of the batch and one group */
    bool given_applied;
    enum status *shard_status;

    struct recorded recorded[MAX_RESOLUTIONS][RECORDINGS]; /* tensors are at other places in each */
    int recorded_next[MAX_RESOLUTIONS];                    /* the one to be given up first */

    struct profile *profile; /* NULL: off */
};

/* Copies between the norms' rows of domain 0 and a flat vector of statistics. */
enum status pass_exchange_statistics(const struct pass *pass, real *flat, bool into_rows);

/* The statistics set last, into the batch-norms' rows. */
enum status pass_apply_statistics(struct pass *pass);

/* A group's width on the host, of the row that a tensor or a layer points to. */
static inline int *pass_width(const struct pass *pass, const int *widths, int group) {
    return pass->width_memory + (widths - pass->device_widths) + group;
}

/* What the ranks exchange of a pass (share.c); alone they do nothing. After a batch was cut: which
 * part of it is this rank's. */
enum status share_create(struct pass *pass);
void share_release(struct pass *pass);
enum status share_cut(struct pass *pass);
/* The most shards and images of a rank. */
int share_most_shards(const struct pass_options *options);
int share_most_images(const struct pass_options *options);
/* Partial sums of all segments, before they are merged. */
enum status share_partials(const struct pass *pass, const struct batch_norm *norm);
/* Losses and hits of all images, and their weights if any are given, once the run is finished;
 * logits when they are asked for. */
enum status share_results(const struct pass *pass, const real **weights);
enum status share_logits(const struct pass *pass);
/* The sum of all shards' gradients. */
enum status share_gradients(struct pass *pass, real *gradient);

/* One operation of the list, for a slice. */
enum status step_forward(const struct ops *ops, const struct step *step, const struct slice *slice);
enum status step_backward(const struct ops *ops, const struct step *step,
                          const struct slice *slice);

/* into = the sum of `shards` vectors of `count`, in that order: by all workers. */
void pass_add(struct pass *pass, real *into, const real *const *shards, int shard_count,
              size_t count);

/* All segments of the batch, with the first worker's scratch. */
struct slice pass_whole(const struct pass *pass, real *gradient);

/* Fills steps and norms, and makes the arena with their buffers: enough of it for every resolution.
 */
enum status pass_build(struct pass *pass);
/* The same for pictures of another size, in the memory that there is: all but parameters, given and
 * measured statistics and the batch's lists is lost. */
void pass_build_again(struct pass *pass, int resolution);

/* Workers of a run; no pool: the caller alone. */
static inline int pass_threads(const struct pass *pass) {
    return pass->pool ? pool_threads(pass->pool) : 1;
}

/* After everything that is queued. */
double profile_clock(const struct pass *pass);
void profile_add(struct pass *pass, int worker, int row, double seconds);
/* Row of a step: its forward, its backward, and its batch-norm's. */
enum {
    PROFILE_FORWARD,
    PROFILE_BACKWARD,
    PROFILE_NORM_FORWARD,
    PROFILE_NORM_BACKWARD,
    PROFILE_KINDS
};
void profile_release(struct pass *pass);

#endif
