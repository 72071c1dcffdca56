/* What ranks exchange of a pass, so that many of them compute what one would, bit for bit: each
 * runs a range of the batch's shards, and whatever crosses shards is merged by all in the same
 * order. */
#include "supernet/pass_internal.h"

#include <stdlib.h>
#include <string.h>

struct share {
    int ranks;
    /* [ranks + 1] before which shard, segment, image and parameter a rank's own begin */
    int *shards, *segments, *images;
    size_t *parameters;
    size_t *ends[2];  /* [ranks] of an exchange's parts, in bytes */
    real *weights;    /* [image] */
    double *partials; /* [segment][part][2 * stride + 1] of one batch-norm, with their counts */
    real *outgoing;   /* [rank][own shard][slice of that rank]: gradients */
    real *incoming;   /* [shard][own slice] */
};

static int ceiling(int count, int parts) {
    return (count + parts - 1) / parts;
}

int share_most_shards(const struct pass_options *options) {
    return ceiling(options->shards, cluster_ranks(options->cluster));
}

/* Shards are cut by images or, of groups of one size, by groups: batch.c. */
int share_most_images(const struct pass_options *options) {
    int ranks = cluster_ranks(options->cluster), images = options->images;
    if (ranks == 1)
        return images;
    int groups = options->groups, group_images = ceiling(images, groups);
    int shards = options->shards < groups ? options->shards : groups;
    int by_images = share_most_shards(options) * ceiling(images, options->shards);
    int by_groups = ceiling(shards, ranks) * ceiling(groups, shards) * group_images;
    int most = by_images > by_groups ? by_images : by_groups;
    return most < images ? most : images;
}

static enum status take_bounds(struct share *share, size_t parameters) {
    size_t ranks = (size_t)share->ranks, bounds = ranks + 1;
    TRY(allocate(&share->shards, 3 * bounds, sizeof *share->shards, "the ranks' shares"));
    share->segments = share->shards + bounds;
    share->images = share->segments + bounds;
    TRY(allocate(&share->parameters, 3 * bounds, sizeof *share->parameters, "the ranks' shares"));
    share->ends[0] = share->parameters + bounds;
    share->ends[1] = share->ends[0] + bounds;
    for (size_t rank = 0; rank < bounds; rank++)
        share->parameters[rank] = parameters / ranks * rank + parameters % ranks * rank / ranks;
    return STATUS_OK;
}

static size_t largest_partial(const struct pass *pass) {
    size_t most = 0;
    for (int i = 0; i < pass->norm_count; i++) {
        const struct batch_norm *norm = &pass->norms[i];
        size_t row = (size_t)norm->parts * (2 * (size_t)norm->stride + 1);
        most = row > most ? row : most;
    }
    return most;
}

static enum status take_buffers(struct pass *pass) {
    struct share *share = pass->share;
    const struct pass_options *options = &pass->options;
    size_t shards = (size_t)options->shards, segments = (size_t)options->groups + shards;
    TRY(allocate(&share->weights, (size_t)options->images, sizeof *share->weights,
                 "the images' weights"));
    TRY(allocate(&share->partials, segments * largest_partial(pass), sizeof *share->partials,
                 "the ranks' statistics"));
    if (!options->backward || !cluster_deterministic(options->cluster))
        return STATUS_OK;
    TRY(allocate(&share->outgoing, (size_t)share_most_shards(options) * pass->parameters.size,
                 sizeof *share->outgoing, "the ranks' gradients"));
    return allocate(&share->incoming, shards * (pass->parameters.size / (size_t)share->ranks + 1),
                    sizeof *share->incoming, "the ranks' gradients");
}

enum status share_create(struct pass *pass) {
    TRY(allocate(&pass->share, 1, sizeof *pass->share, "the ranks' shares"));
    pass->share->ranks = cluster_ranks(pass->options.cluster);
    if (pass->share->ranks > 1 && pass->ops->memory->separate)
        return fail(STATUS_USAGE, "several ranks work on the CPU only, not on %s", pass->ops->name);
    TRY(take_bounds(pass->share, pass->parameters.size));
    return pass->share->ranks > 1 ? take_buffers(pass) : STATUS_OK;
}

void share_release(struct pass *pass) {
    struct share *share = pass->share;
    if (share == NULL)
        return;
    free(share->shards);
    free(share->parameters);
    free(share->weights);
    free(share->partials);
    free(share->outgoing);
    free(share->incoming);
    free(share);
}

/* Segments of the own shards count images from the first of them. */
static void move_to_front(struct pass *pass) {
    const struct share *share = pass->share;
    int rank = cluster_rank(pass->options.cluster);
    for (int i = share->segments[rank]; i < share->segments[rank + 1]; i++) {
        pass->segments[i].first -= pass->own.first;
        pass->segments[i].picture -= pass->own.first;
    }
}

enum status share_cut(struct pass *pass) {
    struct share *share = pass->share;
    int rank = cluster_rank(pass->options.cluster);
    for (int r = 0; r <= share->ranks; r++) {
        int shard = cluster_share(pass->shard_count, r, share->ranks);
        bool end = shard == pass->shard_count;
        int segment = end ? pass->segment_count : pass->shards[shard].first_segment;
        share->shards[r] = shard;
        share->segments[r] = segment;
        share->images[r] = end ? pass->images : pass->segments[segment].picture;
    }
    pass->own_shard = share->shards[rank];
    pass->own_shards = share->shards[rank + 1] - pass->own_shard;
    pass->own.first = share->images[rank];
    pass->own.count = share->images[rank + 1] - pass->own.first;
    if (pass->own.count > pass->slots)
        return fail(STATUS_FAILED, "groups of different sizes cannot be shared out among ranks");
    move_to_front(pass);
    return STATUS_OK;
}

/* bounds[rank]: things of `bytes` each before a rank's own. */
static enum status gather(const struct pass *pass, void *data, const int *bounds, size_t bytes) {
    struct share *share = pass->share;
    for (int rank = 0; rank < share->ranks; rank++)
        share->ends[0][rank] = (size_t)bounds[rank + 1] * bytes;
    return cluster_gather(pass->options.cluster, data, share->ends[0]);
}

/* Sums and counts of segments [first, end) to where they are gathered, or back. */
static void move_partials(const struct pass *pass, const struct batch_norm *norm, int first,
                          int end, bool back) {
    size_t sums = 2 * (size_t)norm->stride, parts = (size_t)norm->parts;
    for (size_t row = (size_t)first * parts; row < (size_t)end * parts; row++) {
        double *packed = pass->share->partials + row * (sums + 1), *count = packed + sums;
        double *partial = norm->partial + row * sums;
        memcpy(back ? partial : packed, back ? packed : partial, sums * sizeof(double));
        *(back ? &norm->row_count[row] : count) = back ? *count : norm->row_count[row];
    }
}

enum status share_partials(const struct pass *pass, const struct batch_norm *norm) {
    const struct share *share = pass->share;
    int own = cluster_rank(pass->options.cluster);
    size_t row = (size_t)norm->parts * (2 * (size_t)norm->stride + 1);
    if (share->ranks == 1)
        return STATUS_OK;
    move_partials(pass, norm, share->segments[own], share->segments[own + 1], false);
    TRY(gather(pass, share->partials, share->segments, row * sizeof(double)));
    move_partials(pass, norm, 0, pass->segment_count, true);
    return STATUS_OK;
}

enum status share_results(const struct pass *pass, const real **weights) {
    const struct share *share = pass->share;
    if (share->ranks == 1)
        return STATUS_OK;
    TRY(gather(pass, pass->losses, share->images, sizeof *pass->losses));
    TRY(gather(pass, pass->hits, share->images, sizeof *pass->hits));
    if (*weights == NULL)
        return STATUS_OK;
    memcpy(share->weights + pass->own.first, *weights, (size_t)pass->own.count * sizeof(real));
    *weights = share->weights;
    return gather(pass, share->weights, share->images, sizeof(real));
}

enum status share_logits(const struct pass *pass) {
    if (pass->share->ranks == 1)
        return STATUS_OK;
    return gather(pass, pass->logit_rows, pass->share->images,
                  (size_t)pass->network->classes * sizeof(real));
}

/* ------------------------------------------------------------------ gradients */

static size_t slice_of(const struct share *share, int rank) {
    return share->parameters[rank + 1] - share->parameters[rank];
}

/* The own shards cut into slices, to the ranks whose slices they are. */
static enum status exchange_shards(struct pass *pass) {
    struct share *share = pass->share;
    int own = cluster_rank(pass->options.cluster);
    real *next = share->outgoing;
    for (int rank = 0; rank < share->ranks; rank++) {
        size_t slice = slice_of(share, rank);
        for (int i = 0; i < pass->own_shards; i++, next += slice)
            memcpy(next,
                   pass->gradients + (size_t)i * pass->gradient_stride + share->parameters[rank],
                   slice * sizeof(real));
        share->ends[0][rank] = (size_t)(next - share->outgoing) * sizeof(real);
        share->ends[1][rank] =
            (size_t)share->shards[rank + 1] * slice_of(share, own) * sizeof(real);
    }
    return cluster_exchange(pass->options.cluster, share->outgoing, share->ends[0], share->incoming,
                            share->ends[1]);
}

/* The order of the additions is that of one rank. */
static enum status add_in_order(struct pass *pass, real *gradient) {
    struct share *share = pass->share;
    int own = cluster_rank(pass->options.cluster);
    const real *terms[MAX_SHARDS];
    TRY(exchange_shards(pass));
    for (int shard = 0; shard < pass->shard_count; shard++)
        terms[shard] = share->incoming + (size_t)shard * slice_of(share, own);
    pass_add(pass, gradient + share->parameters[own], terms, pass->shard_count,
             slice_of(share, own));
    for (int rank = 0; rank < share->ranks; rank++)
        share->ends[0][rank] = share->parameters[rank + 1] * sizeof(real);
    return cluster_gather(pass->options.cluster, gradient, share->ends[0]);
}

enum status share_gradients(struct pass *pass, real *gradient) {
    const real *own[MAX_SHARDS];
    if (pass->share->ranks > 1 && cluster_deterministic(pass->options.cluster))
        return add_in_order(pass, gradient);
    for (int i = 0; i < pass->own_shards; i++)
        own[i] = pass->gradients + (size_t)i * pass->gradient_stride;
    if (pass->own_shards > 0)
        pass_add(pass, gradient, own, pass->own_shards, pass->parameters.size);
    else
        memset(gradient, 0, pass->parameters.size * sizeof(real));
    return cluster_reduce(pass->options.cluster, gradient, pass->parameters.size,
                          sizeof(real) == sizeof(float) ? CLUSTER_FLOAT : CLUSTER_DOUBLE,
                          CLUSTER_SUM);
}
