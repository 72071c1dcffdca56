/* Running a pass: all shards whole and independently, or together operation by operation. */
#include "supernet/pass_internal.h"
#include "support/file.h"

#include <string.h>

/* One run of the pass. Segments are copied per shard, because a worker may put them elsewhere. */
struct run {
    struct pass *pass;
    const struct pass_batch *batch;
    struct pass_batch operands; /* the batch as operations read it */
    bool batch_statistics, backward, prepare;
    real *gradient;
};

/* A shard as one worker sees it. */
struct placed_shard {
    struct slice slice;
    struct segment segments[MAX_GROUPS];
    int worker;
};

static void place_shard(const struct run *run, int index, int worker, struct placed_shard *work) {
    struct pass *pass = run->pass;
    const struct shard *shard = &pass->shards[index];
    int first = pass->worker_slots ? worker * pass->largest_shard : -1;
    real *gradient = run->gradient; /* one shard: nothing to add up */
    if (pass->gradients && run->backward)
        gradient = pass->gradients + (index - pass->own_shard) * pass->gradient_stride;
    for (int i = 0; i < shard->segments; i++) {
        work->segments[i] = pass->segments[shard->first_segment + i];
        if (first >= 0) {
            work->segments[i].first = first;
            first += work->segments[i].images;
        }
    }
    work->worker = worker;
    work->slice = (struct slice){.segments = work->segments,
                                 .device_segments = pass->device_segments + shard->first_segment,
                                 .count = shard->segments,
                                 .gradient = gradient,
                                 .scratch = pass->scratch[worker]};
}

/* Runs `call` and adds its time to the row of the step when somebody profiles. */
#define TIMED(pass, worker, step, kind, call)                                                      \
    do {                                                                                           \
        double start_ = (pass)->profile ? profile_clock(pass) : 0;                                 \
        TRY(call);                                                                                 \
        if ((pass)->profile)                                                                       \
            profile_add(pass, worker, (step)*PROFILE_KINDS + (kind),                               \
                        profile_clock(pass) - start_);                                             \
    } while (0)

static enum status timed_forward(struct pass *pass, int index, const struct placed_shard *work) {
    TIMED(pass, work->worker, index, PROFILE_FORWARD,
          step_forward(pass->ops, &pass->steps[index], &work->slice));
    return STATUS_OK;
}

static enum status timed_backward(struct pass *pass, int index, const struct placed_shard *work) {
    TIMED(pass, work->worker, index, PROFILE_BACKWARD,
          step_backward(pass->ops, &pass->steps[index], &work->slice));
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
static enum status shard_begin(const struct run *run, const struct placed_shard *work) {
    struct pass *pass = run->pass;
    if (run->backward)
        TRY(pass->ops->memory->clear(work->slice.gradient, pass->parameters.size * sizeof(real)));
    struct normalise_pictures pictures = pass->pictures;
    pictures.pictures = run->operands.pictures;
    return pass->ops->normalise_pictures(&pictures, &work->slice);
}

/* Logits out, and the loss. */
static enum status shard_loss(const struct run *run, const struct placed_shard *work) {
    struct pass *pass = run->pass;
    const struct pass_batch *batch = &run->operands;
    struct loss loss = {.logits = pass->logits.tensor,
                        .gradient = run->backward ? pass->logits.gradient : NULL,
                        .labels = batch->labels,
                        .weights = batch->weights,
                        .teacher = batch->teacher,
                        .smoothing = batch->smoothing,
                        .teacher_weight = batch->teacher ? batch->teacher_weight : 0,
                        .temperature = batch->temperature,
                        .scale = (real)1 / (real)pass->images,
                        .losses = pass->device_losses + pass->own.first,
                        .correct = pass->device_hits + pass->own.first,
                        .rows =
                            pass->logit_rows + (size_t)pass->own.first * pass->network->classes};
    return pass->ops->loss_forward_backward(&loss, &work->slice);
}

static enum status run_whole_shard(const struct run *run, const struct placed_shard *work) {
    struct pass *pass = run->pass;
    TRY(shard_begin(run, work));
    for (int step = 0; step < pass->step_count; step++) {
        TRY(timed_forward(pass, step, work));
        if (run->batch_statistics)
            TRY(norm_forward(pass, step, &work->slice, work->worker));
    }
    TRY(shard_loss(run, work));
    for (int step = pass->step_count - 1; run->backward && step >= 0; step--) {
        TRY(norm_backward(pass, step, &work->slice, work->worker));
        TRY(timed_backward(pass, step, work));
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
    struct placed_shard work;
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
        status = timed_forward(pass, phase->step, &work);
        break;
    case PHASE_LOSS:
        status = shard_loss(run, &work);
        break;
    case PHASE_BACKWARD:
        status = timed_backward(pass, phase->step, &work);
        break;
    }
    pass->shard_status[shard] = status;
}

static enum status run_phase(const struct run *run, enum phase phase, int step) {
    struct pass *pass = run->pass;
    struct phase_work work = {.run = run, .phase = phase, .step = step};
    pool_run(pass->pool, pass->own_shards, phase_piece, &work);
    for (int i = 0; i < pass->own_shards; i++)
        if (pass->shard_status[pass->order[i]] != STATUS_OK)
            return fail(pass->shard_status[pass->order[i]], "%s: an operation of the pass failed",
                        pass->ops->name);
    return STATUS_OK;
}

static enum status share_norm(const struct pass *pass, int index) {
    const struct step *step = &pass->steps[index];
    if (!step_is_convolution(step) || step->convolution.norm == NULL)
        return STATUS_OK;
    return share_partials(pass, step->convolution.norm);
}

/* All shards operation by operation: statistics need all of them before anyone goes on. Gradients
 * of batch-norms, which every rank makes, count with the first rank's first shard; the others' go
 * to where the sum will stand. */
static enum status run_together(const struct run *run) {
    struct pass *pass = run->pass;
    bool own = pass->gradients && cluster_first(pass->options.cluster);
    struct slice all = pass_whole(pass, own ? pass->gradients : run->gradient);
    TRY(run_phase(run, PHASE_BEGIN, 0));
    for (int step = 0; step < pass->step_count; step++) {
        TRY(run_phase(run, PHASE_FORWARD, step));
        TRY(share_norm(pass, step));
        TRY(norm_forward(pass, step, &all, 0));
    }
    TRY(run_phase(run, PHASE_LOSS, 0));
    for (int step = pass->step_count - 1; run->backward && step >= 0; step--) {
        TRY(share_norm(pass, step));
        TRY(norm_backward(pass, step, &all, 0));
        TRY(run_phase(run, PHASE_BACKWARD, step));
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------------ a whole run */

static void prepare_one(void *context, int index, int worker) {
    (void)worker;
    struct pass *pass = context;
    if (pass->ops->prepare(&pass->convolutions[index], 1) != STATUS_OK)
        pass->prepared = false;
}

static enum status prepare(struct pass *pass) {
    if (pass->ops->memory->separate) {
        TRY(pass->ops->prepare(pass->convolutions, pass->convolution_count));
        pass->prepared = true;
        return STATUS_OK;
    }
    pass->prepared = true;
    pool_run(pass->pool, pass->convolution_count, prepare_one, pass);
    return pass->prepared ? STATUS_OK : fail(STATUS_FAILED, "the weights could not be laid out");
}

/* Everything between the batch's way in and the results' way out: what a recording holds. */
static enum status run_operations(const struct run *run) {
    struct pass *pass = run->pass;
    const struct memory *memory = pass->ops->memory;
    if (run->prepare)
        TRY(prepare(pass));
    bool independent = pass->whole_groups || !run->batch_statistics || pass->shard_count == 1;
    int threads = pass_threads(pass);
    pass->worker_slots =
        !memory->separate && independent && threads * pass->largest_shard <= pass->slots;
    TRY(independent ? run_phase(run, PHASE_WHOLE, 0) : run_together(run));
    if (run->batch_statistics && pass->groups == 1)
        TRY(pass_exchange_statistics(pass, pass->measured_statistics, false));
    if (!memory->separate || run->operands.labels == NULL)
        return STATUS_OK;
    TRY(memory->copy(pass->losses, pass->device_losses, pass->images * sizeof *pass->losses));
    return memory->copy(pass->hits, pass->device_hits, pass->images * sizeof *pass->hits);
}

static enum status upload_batch(struct run *run) {
    struct pass *pass = run->pass;
    const struct network *network = pass->network;
    const struct memory *memory = pass->ops->memory;
    const struct pass_batch *batch = run->batch;
    struct pass_batch *operands = &run->operands;
    size_t images = pass->own.count, picture = pass->pictures.output.image_size;
    *operands = *batch;
    if (!memory->separate)
        return STATUS_OK;
    const struct {
        const void **at;
        const void *to;
        size_t bytes;
    } parts[] = {
        {(const void **)&operands->pictures, pass->operands.pictures, images * picture},
        {(const void **)&operands->labels, pass->operands.labels, images * sizeof(int)},
        {(const void **)&operands->weights, pass->operands.weights, images * sizeof(real)},
        {(const void **)&operands->teacher, pass->operands.teacher,
         images * network->classes * sizeof(real)},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (*parts[i].at == NULL || *parts[i].at == parts[i].to)
            continue; /* absent, or there already */
        TRY(memory->copy((void *)(uintptr_t)parts[i].to, *parts[i].at, parts[i].bytes));
        *parts[i].at = parts[i].to;
    }
    return STATUS_OK;
}

static struct run_key key_of(const struct run *run) {
    const struct pass *pass = run->pass;
    const struct pass_batch *operands = &run->operands;
    struct run_key key;
    memset(&key, 0, sizeof key); /* padding, too: keys are compared as bytes */
    key.batch_statistics = run->batch_statistics;
    key.backward = run->backward;
    key.prepare = run->prepare;
    key.labels = operands->labels != NULL;
    key.weights = operands->weights != NULL;
    key.images = pass->images;
    key.segment_count = pass->segment_count;
    key.partition = hash_bytes(0, pass->segments, pass->segment_count * sizeof *pass->segments);
    key.gradient = run->gradient;
    key.teacher = operands->teacher;
    key.smoothing = operands->smoothing;
    key.teacher_weight = operands->teacher_weight;
    key.temperature = operands->temperature;
    return key;
}

static struct recorded *find_recorded(struct pass *pass, const struct run_key *key) {
    struct recorded *all = pass->recorded[pass->resolution];
    int *next = &pass->recorded_next[pass->resolution];
    for (int i = 0; i < RECORDINGS; i++)
        if (all[i].seen && memcmp(&all[i].key, key, sizeof *key) == 0)
            return &all[i];
    struct recorded *recorded = &all[*next];
    *next = (*next + 1) % RECORDINGS;
    pass->ops->memory->recording_release(recorded->recording);
    *recorded = (struct recorded){0};
    memcpy(&recorded->key, key, sizeof *key);
    return recorded;
}

/* The first run with a key is done call by call; the second is recorded, and replayed from then on.
 */
static enum status run_recorded(const struct run *run) {
    struct pass *pass = run->pass;
    const struct memory *memory = pass->ops->memory;
    if (memory->record_begin == NULL || pass->profile != NULL)
        return run_operations(run);
    struct run_key key = key_of(run);
    struct recorded *recorded = find_recorded(pass, &key);
    if (recorded->seen++ == 0)
        return run_operations(run);
    if (recorded->recording == NULL) {
        TRY(memory->record_begin());
        enum status status = run_operations(run);
        enum status ended = memory->record_end(&recorded->recording);
        TRY(status);
        TRY(ended);
    }
    pass->prepared |= run->prepare;
    return memory->replay(recorded->recording);
}

static enum status run_pass(struct run *run, struct pass_result *result) {
    struct pass *pass = run->pass;
    enum norm_mode mode = pass->options.shared_norm ? NORM_SHARED : NORM_PER_GROUP;
    for (int i = 0; i < pass->norm_count; i++)
        pass->norms[i].mode = run->batch_statistics ? mode : NORM_FIXED;
    if (run->batch_statistics)
        pass->given_applied = false; /* the rows will hold the batch's */
    else if (!pass->given_applied)
        TRY(pass_apply_statistics(pass));
    run->prepare = !pass->prepared;
    TRY(upload_batch(run));
    TRY(run_recorded(run));
    TRY(pass->ops->memory->finish());
    *result = (struct pass_result){.losses = pass->losses, .hits = pass->hits};
    const real *weights = run->batch->weights;
    if (run->batch->labels == NULL)
        return STATUS_OK;
    TRY(share_results(pass, &weights));
    for (int image = 0; image < pass->images; image++) {
        double weight = weights ? weights[image] : 1;
        result->loss += weight * pass->losses[image] / pass->images;
        result->correct += pass->hits[image];
    }
    return STATUS_OK;
}

enum status pass_forward(struct pass *pass, const struct pass_batch *batch,
                         enum statistics_source source, struct pass_result *result) {
    struct run run = {.pass = pass, .batch = batch, .batch_statistics = source == STATISTICS_BATCH};
    return run_pass(&run, result);
}

enum { ADD_CHUNK = 1 << 13 };

struct addition {
    const struct pass *pass;
    real *into;
    const real *const *shards;
    int shard_count;
    size_t count;
};

static void add_chunk(void *context, int piece, int worker) {
    (void)worker;
    const struct addition *addition = context;
    size_t first = (size_t)piece * ADD_CHUNK, count = addition->count - first;
    const real *terms[MAX_SHARDS];
    for (int shard = 0; shard < addition->shard_count; shard++)
        terms[shard] = addition->shards[shard] + first;
    addition->pass->ops->add(addition->into + first, terms, addition->shard_count,
                             count < ADD_CHUNK ? count : ADD_CHUNK);
}

void pass_add(struct pass *pass, real *into, const real *const *shards, int shard_count,
              size_t count) {
    struct addition addition = {pass, into, shards, shard_count, count};
    pool_run(pass->pool, (int)((count + ADD_CHUNK - 1) / ADD_CHUNK), add_chunk, &addition);
}

enum status pass_forward_backward(struct pass *pass, const struct pass_batch *batch, real *gradient,
                                  struct pass_result *result) {
    struct run run = {.pass = pass,
                      .batch = batch,
                      .batch_statistics = true,
                      .backward = true,
                      .gradient = gradient};
    TRY(run_pass(&run, result));
    return pass->gradients ? share_gradients(pass, gradient) : STATUS_OK;
}
