#include "supernet/pass_internal.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHARDS = 16, STEPS_PER_LAYER = 6, NORMS_PER_LAYER = 3, TENSORS_PER_LAYER = 10 };

/* Fewer groups than this run together with barriers, so that all threads have work. */
enum { INDEPENDENT_GROUPS = 4 };

static enum status create_widths(struct pass *pass) {
    int layers = pass->network->layer_count, groups = pass->options.groups;
    TRY(allocate(&pass->widths, layers, sizeof *pass->widths, "layer widths"));
    TRY(allocate(&pass->width_memory, (size_t)layers * 5 * groups + groups, sizeof(int),
                 "layer widths"));
    int *next = pass->width_memory;
    for (int layer = 0; layer < layers; layer++) {
        struct layer_widths *widths = &pass->widths[layer];
        int **each[] = {&widths->filters, &widths->out, &widths->expand, &widths->squeeze,
                        &widths->kernel};
        for (int i = 0; i < 5; i++, next += groups)
            *each[i] = next;
    }
    pass->picture_channels = next;
    for (int group = 0; group < groups; group++)
        pass->picture_channels[group] = pass->network->channels;
    return STATUS_OK;
}

/* The operations read the pass's own copy: it may be read past its end. */
static void point_to_values(struct pass *pass) {
    const real *values = pass->values;
    for (int i = 0; i < pass->step_count; i++) {
        struct step *step = &pass->steps[i];
        if (step->kind == STEP_SQUEEZE_EXCITE) {
            struct squeeze_excite *squeeze = &step->squeeze_excite;
            squeeze->reduce = values + squeeze->reduce_offset;
            squeeze->reduce_bias = values + squeeze->reduce_bias_offset;
            squeeze->expand = values + squeeze->expand_offset;
            squeeze->expand_bias = values + squeeze->expand_bias_offset;
        } else if (step_is_convolution(step)) {
            struct convolution *convolution = &step->convolution;
            convolution->weight = values + convolution->weight_offset;
            convolution->bias = convolution->norm ? NULL : values + convolution->bias_offset;
        }
    }
    for (int i = 0; i < pass->norm_count; i++) {
        struct batch_norm *norm = &pass->norms[i];
        norm->weight = values + norm->weight_offset;
        norm->bias = values + norm->bias_offset;
    }
}

static enum status create(struct pass *pass) {
    TRY(parameters_of(&pass->parameters, pass->network));
    TRY(statistics_of(&pass->statistics, pass->network));
    int layers = pass->network->layer_count;
    TRY(allocate(&pass->steps, (size_t)layers * STEPS_PER_LAYER, sizeof *pass->steps, "a pass"));
    TRY(allocate(&pass->norms, (size_t)layers * NORMS_PER_LAYER, sizeof *pass->norms, "a pass"));
    TRY(allocate(&pass->tensors, (size_t)layers * TENSORS_PER_LAYER, sizeof *pass->tensors,
                 "a pass"));
    TRY(allocate(&pass->scratch, pass_threads(pass), sizeof *pass->scratch, "a pass"));
    TRY(create_widths(pass));
    size_t bytes;
    TRY(pass_build(pass, &bytes));
    TRY(arena_create(&pass->arena, bytes, "the activations of a pass"));
    pass->bytes = bytes;
    TRY(pass_build(pass, &bytes));
    point_to_values(pass);
    return STATUS_OK;
}

enum status pass_create(struct pass **created, const struct network *network, const struct ops *ops,
                        struct pool *pool, const struct pass_options *options) {
    struct pass *pass;
    TRY(allocate(&pass, 1, sizeof *pass, "a pass"));
    pass->network = network;
    pass->ops = ops;
    pass->pool = pool;
    pass->options = *options;
    if (pass->options.shards == 0)
        pass->options.shards = DEFAULT_SHARDS;
    if (pass->options.shards > MAX_SHARDS)
        pass->options.shards = MAX_SHARDS;
    if (pass->options.shards > options->images)
        pass->options.shards = options->images;
    pass->slots = options->images;
    enum status status = create(pass);
    if (status != STATUS_OK) {
        pass_release(pass);
        return status;
    }
    *created = pass;
    return STATUS_OK;
}

void pass_release(struct pass *pass) {
    if (pass == NULL)
        return;
    profile_release(pass);
    arena_release(pass->arena);
    parameters_release(&pass->parameters);
    parameters_release(&pass->statistics);
    free(pass->steps);
    free(pass->norms);
    free(pass->tensors);
    free(pass->scratch);
    free(pass->widths);
    free(pass->width_memory);
    free(pass);
}

const struct parameters *pass_parameters(const struct pass *pass) {
    return &pass->parameters;
}

const struct parameters *pass_statistics(const struct pass *pass) {
    return &pass->statistics;
}

/* ------------------------------------------------------------------ the batch */

static double segment_macs(const struct pass *pass, const struct segment *segment) {
    double macs = 0;
    for (int i = 0; i < pass->step_count; i++)
        if (step_is_convolution(&pass->steps[i]))
            macs += convolution_macs(&pass->steps[i].convolution, segment->group);
    return macs * segment->images;
}

static void add_segment(struct pass *pass, struct shard *shard, int group, int picture,
                        int images) {
    struct segment *segment = &pass->segments[pass->segment_count];
    *segment = (struct segment){.index = pass->segment_count++,
                                .group = group,
                                .first = picture,
                                .images = images,
                                .picture = picture};
    shard->segments++;
    shard->images += images;
    shard->macs += segment_macs(pass, segment);
}

/* Whole groups to shards, as evenly as their number allows. */
static void cut_by_groups(struct pass *pass, const struct batch_group *groups) {
    int shards = pass->options.shards < pass->groups ? pass->options.shards : pass->groups;
    for (int s = 0, group = 0, picture = 0; s < shards; s++) {
        struct shard *shard = &pass->shards[pass->shard_count++];
        *shard = (struct shard){.first_segment = pass->segment_count};
        for (int end = (s + 1) * pass->groups / shards; group < end; group++) {
            add_segment(pass, shard, group, picture, groups[group].images);
            picture += groups[group].images;
        }
    }
}

/* Images to shards evenly; a group may be cut into several segments. */
static void cut_by_images(struct pass *pass, const struct batch_group *groups) {
    int shards = pass->options.shards < pass->images ? pass->options.shards : pass->images;
    int group = 0, group_end = groups[0].images;
    for (int s = 0, picture = 0; s < shards; s++) {
        struct shard *shard = &pass->shards[pass->shard_count++];
        *shard = (struct shard){.first_segment = pass->segment_count};
        int end = (int)((long)(s + 1) * pass->images / shards);
        while (picture < end) {
            if (picture == group_end)
                group_end += groups[++group].images;
            int until = end < group_end ? end : group_end;
            add_segment(pass, shard, group, picture, until - picture);
            picture = until;
        }
    }
}

static void order_shards(struct pass *pass) {
    pass->largest_shard = 0;
    for (int s = 0; s < pass->shard_count; s++) {
        if (pass->shards[s].images > pass->largest_shard)
            pass->largest_shard = pass->shards[s].images;
        int place = s;
        for (; place > 0 && pass->shards[pass->order[place - 1]].macs < pass->shards[s].macs;
             place--)
            pass->order[place] = pass->order[place - 1];
        pass->order[place] = s;
    }
}

static void set_widths(struct pass *pass, const struct subnetwork *sub, int group) {
    struct layer_shape shapes[MAX_LAYERS];
    network_shapes(pass->network, sub, shapes);
    for (int layer = 0; layer < pass->network->layer_count; layer++) {
        struct layer_widths *widths = &pass->widths[layer];
        widths->filters[group] = shapes[layer].filters;
        widths->out[group] = shapes[layer].out;
        widths->expand[group] = shapes[layer].expand;
        widths->squeeze[group] = shapes[layer].squeeze;
        widths->kernel[group] = shapes[layer].kernel;
    }
}

enum status pass_set_groups(struct pass *pass, const struct batch_group *groups, int count) {
    if (count < 1 || count > pass->options.groups)
        return fail(STATUS_FAILED, "a batch of %d groups does not fit a pass made for %d", count,
                    pass->options.groups);
    int images = 0;
    for (int group = 0; group < count; group++) {
        images += groups[group].images;
        set_widths(pass, groups[group].sub, group);
    }
    if (images < 1 || images > pass->options.images)
        return fail(STATUS_FAILED, "a batch of %d images does not fit a pass made for %d", images,
                    pass->options.images);
    pass->images = images;
    pass->groups = count;
    pass->segment_count = pass->shard_count = 0;
    pass->whole_groups = !pass->options.shared_norm && count >= INDEPENDENT_GROUPS;
    if (pass->whole_groups)
        cut_by_groups(pass, groups);
    else
        cut_by_images(pass, groups);
    order_shards(pass);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ parameters and statistics */

static void prepare_step(void *context, int piece, int worker) {
    (void)worker;
    struct pass *pass = context;
    const struct step *step = &pass->steps[piece];
    const struct ops *ops = pass->ops;
    if (step->kind == STEP_DENSE)
        ops->dense_prepare(&step->convolution);
    else if (step->kind == STEP_POINTWISE)
        ops->pointwise_prepare(&step->convolution);
    else if (step->kind == STEP_DEPTHWISE)
        ops->depthwise_prepare(&step->convolution);
}

enum status pass_set_parameters(struct pass *pass, const real *values) {
    memcpy(pass->values, values, pass->parameters.size * sizeof(real));
    pool_run(pass->pool, pass->step_count, prepare_step, pass);
    pass->given_applied = false;
    return STATUS_OK;
}

enum status pass_set_statistics(struct pass *pass, const real *statistics) {
    memcpy(pass->given_statistics, statistics, pass->statistics.size * sizeof(real));
    pass->given_applied = false;
    return STATUS_OK;
}

/* Copies between the norms' rows of domain 0 and a flat vector of statistics. */
static void exchange_statistics(const struct pass *pass, real *flat, bool into_rows) {
    for (int i = 0; i < pass->step_count; i++) {
        const struct step *step = &pass->steps[i];
        if (!step_is_convolution(step) || step->convolution.norm == NULL)
            continue;
        const struct batch_norm *norm = step->convolution.norm;
        real *rows[] = {norm->mean, norm->variance};
        enum parameter_role roles[] = {ROLE_RUNNING_MEAN, ROLE_RUNNING_VARIANCE};
        for (int which = 0; which < 2; which++) {
            const struct parameter *parameter =
                parameters_find(&pass->statistics, step->layer, step->part, roles[which]);
            real *at = flat + parameter->offset;
            size_t bytes = parameter->count * sizeof(real);
            memcpy(into_rows ? rows[which] : at, into_rows ? at : rows[which], bytes);
        }
    }
}

static enum status apply_statistics(struct pass *pass) {
    struct slice slice = {.segments = pass->segments, .count = pass->segment_count};
    exchange_statistics(pass, pass->given_statistics, true);
    for (int i = 0; i < pass->step_count; i++) {
        const struct step *step = &pass->steps[i];
        if (!step_is_convolution(step) || step->convolution.norm == NULL)
            continue;
        TRY(pass->ops->batch_norm_forward(step->convolution.norm, &step->convolution.output,
                                          &slice));
    }
    pass->given_applied = true;
    return STATUS_OK;
}

void pass_batch_statistics(const struct pass *pass, real *statistics) {
    exchange_statistics(pass, statistics, false);
}

/* ------------------------------------------------------------------ running */

/* One run of the pass. Segments are copied per shard, because a worker may put them elsewhere. */
struct run {
    struct pass *pass;
    const struct pass_batch *batch;
    bool batch_statistics, backward;
    int step; /* where all shards are, when they go together */
};

enum { MAX_SHARD_SEGMENTS = 1024 };

/* A shard as one worker sees it. */
struct work {
    struct slice slice;
    struct segment segments[MAX_SHARD_SEGMENTS];
    int worker;
};

static void place_shard(const struct run *run, int index, int worker, struct work *work) {
    struct pass *pass = run->pass;
    const struct shard *shard = &pass->shards[index];
    int first = pass->worker_slots ? worker * pass->largest_shard : -1;
    for (int i = 0; i < shard->segments; i++) {
        work->segments[i] = pass->segments[shard->first_segment + i];
        if (first >= 0) {
            work->segments[i].first = first;
            first += work->segments[i].images;
        }
    }
    work->worker = worker;
    work->slice = (struct slice){
        .segments = work->segments,
        .count = shard->segments,
        .gradient = run->backward ? pass->gradients + index * pass->gradient_stride : NULL,
        .scratch = pass->scratch[worker]};
}

/* Runs `call` and adds its time to the row of the step when somebody profiles. */
#define TIMED(pass, worker, step, kind, call)                                                      \
    do {                                                                                           \
        double start_ = (pass)->profile ? profile_clock() : 0;                                     \
        TRY(call);                                                                                 \
        if ((pass)->profile)                                                                       \
            profile_add(pass, worker, (step)*PROFILE_KINDS + (kind), profile_clock() - start_);    \
    } while (0)

static enum status call_forward(const struct pass *pass, const struct step *step,
                                const struct slice *slice) {
    const struct ops *ops = pass->ops;
    switch (step->kind) {
    case STEP_DENSE:
        return ops->dense_forward(&step->convolution, slice);
    case STEP_POINTWISE:
        return ops->pointwise_forward(&step->convolution, slice);
    case STEP_DEPTHWISE:
        return ops->depthwise_forward(&step->convolution, slice);
    case STEP_SQUEEZE_EXCITE:
        return ops->squeeze_excite_forward(&step->squeeze_excite, slice);
    case STEP_COMBINE:
        return ops->combine_forward(&step->combine, slice);
    case STEP_POOL:
        return ops->pool_mean_forward(&step->pool, slice);
    }
    __builtin_unreachable();
}

static enum status call_backward(const struct pass *pass, const struct step *step,
                                 const struct slice *slice) {
    const struct ops *ops = pass->ops;
    switch (step->kind) {
    case STEP_DENSE:
        return ops->dense_backward(&step->convolution, slice);
    case STEP_POINTWISE:
        return ops->pointwise_backward(&step->convolution, slice);
    case STEP_DEPTHWISE:
        return ops->depthwise_backward(&step->convolution, slice);
    case STEP_SQUEEZE_EXCITE:
        return ops->squeeze_excite_backward(&step->squeeze_excite, slice);
    case STEP_COMBINE:
        return ops->combine_backward(&step->combine, slice);
    case STEP_POOL:
        return ops->pool_mean_backward(&step->pool, slice);
    }
    __builtin_unreachable();
}

static enum status step_forward(struct pass *pass, int index, const struct work *work) {
    TIMED(pass, work->worker, index, PROFILE_FORWARD,
          call_forward(pass, &pass->steps[index], &work->slice));
    return STATUS_OK;
}

static enum status step_backward(struct pass *pass, int index, const struct work *work) {
    TIMED(pass, work->worker, index, PROFILE_BACKWARD,
          call_backward(pass, &pass->steps[index], &work->slice));
    return STATUS_OK;
}

/* The batch-norm behind a convolution, once all segments of its domains have left their partials.
 */
static enum status norm_forward(struct pass *pass, int index, const struct slice *slice,
                                int worker) {
    const struct step *step = &pass->steps[index];
    if (!step_is_convolution(step) || step->convolution.norm == NULL)
        return STATUS_OK;
    TIMED(pass, worker, index, PROFILE_NORM_FORWARD,
          pass->ops->batch_norm_forward(step->convolution.norm, &step->convolution.output, slice));
    return STATUS_OK;
}

static enum status norm_backward(struct pass *pass, int index, const struct slice *slice,
                                 int worker) {
    const struct step *step = &pass->steps[index];
    if (!step_is_convolution(step) || step->convolution.norm == NULL)
        return STATUS_OK;
    TIMED(pass, worker, index, PROFILE_NORM_BACKWARD,
          pass->ops->batch_norm_backward(step->convolution.norm, &step->convolution.output, slice));
    return STATUS_OK;
}

/* Pictures in, and this shard's gradients to zero. */
static enum status shard_begin(const struct run *run, const struct work *work) {
    struct pass *pass = run->pass;
    if (work->slice.gradient)
        memset(work->slice.gradient, 0, pass->parameters.size * sizeof(real));
    struct normalise_pictures pictures = pass->pictures;
    pictures.pictures = run->batch->pictures;
    return pass->ops->normalise_pictures(&pictures, &work->slice);
}

/* Logits out, and the loss. */
static enum status shard_loss(const struct run *run, const struct work *work) {
    struct pass *pass = run->pass;
    const struct pass_batch *batch = run->batch;
    const struct tensor *logits = pass->logits.tensor;
    size_t classes = pass->network->classes;
    for (int i = 0; i < work->slice.count; i++) {
        const struct segment *segment = &work->slice.segments[i];
        for (int image = 0; image < segment->images; image++)
            memcpy(pass->logit_rows + (segment->picture + image) * classes,
                   tensor_image(logits, segment, image), classes * sizeof(real));
    }
    if (batch->labels == NULL)
        return STATUS_OK;
    struct loss loss = {.logits = logits,
                        .gradient = run->backward ? pass->logits.gradient : NULL,
                        .labels = batch->labels,
                        .weights = batch->weights,
                        .teacher = batch->teacher,
                        .smoothing = batch->smoothing,
                        .teacher_weight = batch->teacher ? batch->teacher_weight : 0,
                        .temperature = batch->temperature,
                        .scale = (real)1 / pass->images,
                        .losses = pass->losses,
                        .correct = pass->hits};
    return pass->ops->loss_forward_backward(&loss, &work->slice);
}

static enum status run_whole_shard(const struct run *run, const struct work *work) {
    struct pass *pass = run->pass;
    TRY(shard_begin(run, work));
    for (int step = 0; step < pass->step_count; step++) {
        TRY(step_forward(pass, step, work));
        if (run->batch_statistics)
            TRY(norm_forward(pass, step, &work->slice, work->worker));
    }
    TRY(shard_loss(run, work));
    for (int step = pass->step_count - 1; run->backward && step >= 0; step--) {
        TRY(norm_backward(pass, step, &work->slice, work->worker));
        TRY(step_backward(pass, step, work));
    }
    return STATUS_OK;
}

/* Pieces of work for the pool: what is done to one shard. */
enum phase { PHASE_WHOLE, PHASE_BEGIN, PHASE_FORWARD, PHASE_LOSS, PHASE_BACKWARD };

struct phase_work {
    const struct run *run;
    enum phase phase;
    int step;
};

static void phase_piece(void *context, int piece, int worker) {
    const struct phase_work *phase = context;
    const struct run *run = phase->run;
    struct pass *pass = run->pass;
    int shard = pass->order[piece];
    struct work work;
    place_shard(run, shard, worker, &work);
    enum status status = STATUS_OK;
    switch (phase->phase) {
    case PHASE_WHOLE:
        status = run_whole_shard(run, &work);
        break;
    case PHASE_BEGIN:
        status = shard_begin(run, &work);
        break;
    case PHASE_FORWARD:
        status = step_forward(pass, phase->step, &work);
        break;
    case PHASE_LOSS:
        status = shard_loss(run, &work);
        break;
    case PHASE_BACKWARD:
        status = step_backward(pass, phase->step, &work);
        break;
    }
    pass->shard_status[shard] = status;
}

static enum status run_phase(const struct run *run, enum phase phase, int step) {
    struct pass *pass = run->pass;
    struct phase_work work = {.run = run, .phase = phase, .step = step};
    pool_run(pass->pool, pass->shard_count, phase_piece, &work);
    for (int shard = 0; shard < pass->shard_count; shard++)
        if (pass->shard_status[shard] != STATUS_OK)
            return fail(pass->shard_status[shard], "%s: an operation of the pass failed",
                        pass->ops->name);
    return STATUS_OK;
}

/* All shards operation by operation: statistics need all of them before anyone goes on. */
static enum status run_together(const struct run *run) {
    struct pass *pass = run->pass;
    struct slice all = {.segments = pass->segments,
                        .count = pass->segment_count,
                        .gradient = pass->gradients, /* of shard 0 */
                        .scratch = pass->scratch[0]};
    TRY(run_phase(run, PHASE_BEGIN, 0));
    for (int step = 0; step < pass->step_count; step++) {
        TRY(run_phase(run, PHASE_FORWARD, step));
        TRY(norm_forward(pass, step, &all, 0));
    }
    TRY(run_phase(run, PHASE_LOSS, 0));
    for (int step = pass->step_count - 1; run->backward && step >= 0; step--) {
        TRY(norm_backward(pass, step, &all, 0));
        TRY(run_phase(run, PHASE_BACKWARD, step));
    }
    return STATUS_OK;
}

static enum status run_pass(struct pass *pass, const struct run *run, struct pass_result *result) {
    enum norm_mode mode = pass->options.shared_norm ? NORM_SHARED : NORM_PER_GROUP;
    for (int i = 0; i < pass->norm_count; i++)
        pass->norms[i].mode = run->batch_statistics ? mode : NORM_FIXED;
    if (run->batch_statistics)
        pass->given_applied = false; /* the rows will hold the batch's */
    else if (!pass->given_applied)
        TRY(apply_statistics(pass));
    bool independent = pass->whole_groups || !run->batch_statistics;
    int threads = pass_threads(pass);
    pass->worker_slots = independent && threads * pass->largest_shard <= pass->slots;
    TRY(independent ? run_phase(run, PHASE_WHOLE, 0) : run_together(run));
    *result = (struct pass_result){.losses = pass->losses, .hits = pass->hits};
    if (run->batch->labels == NULL)
        return STATUS_OK;
    for (int image = 0; image < pass->images; image++) {
        double weight = run->batch->weights ? run->batch->weights[image] : 1;
        result->loss += weight * pass->losses[image] / pass->images;
        result->correct += pass->hits[image];
    }
    return STATUS_OK;
}

enum status pass_forward(struct pass *pass, const struct pass_batch *batch,
                         enum statistics_source source, struct pass_result *result) {
    struct run run = {.pass = pass, .batch = batch, .batch_statistics = source == STATISTICS_BATCH};
    return run_pass(pass, &run, result);
}

/* ------------------------------------------------------------------ gradients of all shards */

enum { ADD_CHUNK = 1 << 13 };

struct addition {
    struct pass *pass;
    real *gradient;
};

static void add_chunk(void *context, int piece, int worker) {
    (void)worker;
    const struct addition *addition = context;
    const struct pass *pass = addition->pass;
    size_t first = (size_t)piece * ADD_CHUNK, count = pass->parameters.size - first;
    const real *terms[MAX_SHARDS];
    for (int shard = 0; shard < pass->shard_count; shard++)
        terms[shard] = pass->gradients + shard * pass->gradient_stride + first;
    pass->ops->add(addition->gradient + first, terms, pass->shard_count,
                   count < ADD_CHUNK ? count : ADD_CHUNK);
}

enum status pass_forward_backward(struct pass *pass, const struct pass_batch *batch, real *gradient,
                                  struct pass_result *result) {
    struct run run = {.pass = pass, .batch = batch, .batch_statistics = true, .backward = true};
    TRY(run_pass(pass, &run, result));
    struct addition addition = {.pass = pass, .gradient = gradient};
    int chunks = (int)((pass->parameters.size + ADD_CHUNK - 1) / ADD_CHUNK);
    pool_run(pass->pool, chunks, add_chunk, &addition);
    return STATUS_OK;
}

const real *pass_logits(const struct pass *pass, int image) {
    return pass->logit_rows + (size_t)image * pass->network->classes;
}

size_t pass_bytes(const struct pass *pass) {
    return pass->bytes;
}

int pass_guards_broken(const struct pass *pass) {
    return arena_check(pass->arena);
}
