/* A backend's training against the CPU's: single steps from equal states, then a short training.
 *
 *   bench_parity [network=benchmarks/net-s.yaml] [batch=64] [groups=8] [states=100] [apart=5]
 *                [steps=500] [threads=N] [precision=fp32] [device=cuda] [backend=FILE]
 *
 * The CPU trains with ordered dropout; `apart` steps lie between two of the `states` states. From
 * each, one step on both sides: difference of the loss, and of every parameter's gradient as a
 * share of the CPU's norm, in fp32 and in bf16. Beside each the same of a control: the CPU itself
 * with weights off by one rounding. A slope flips where a pre-activation lies nearer to a kink than
 * that, and then gradients differ by more than rounding alone: a backend should not be beyond the
 * bound much more often than its control. (In bf16 every activation is rounded, not only the
 * weights.) Then `steps` steps on each side from the same start, with the same pictures and draws:
 * trajectories part (training is chaotic), but the mean loss of the last tenth agrees. Pictures are
 * synthetic, new ones in each step: a prototype of the class under noise, and a fifth of the labels
 * at random so that the loss stays away from zero. Prints JSON rows. */
#include "config/config.h"
#include "supernet/backend.h"
#include "supernet/pass.h"
#include "supernet/sampler.h"
#include "support/memory.h"
#include "support/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_IMAGES = 1024, MOST_STATES = 1000 };

/* Of single losses and gradients in fp32, away from kinks, and of the mean loss of a training. */
static const double LOSS_BOUND = 1e-5, GRADIENT_BOUND = 1e-3, TRAINING_BOUND = 0.02;

/* A gradient this much smaller than the whole one is the rounding noise of a sum that is zero. */
static const double NOISE = 1e-6;

/* One backend with its own copy of everything. */
struct side {
    const struct ops *ops;
    struct pass *pass;
    real *weights, *gradient, *velocity; /* where the operations are */
    real *host_gradient;
    double loss; /* of the last step */
    /* Of a control: the CPU, with each weight off by this share of itself in a random direction. */
    double off;
    const char *name;
};

/* In this order: what rounding explains, and what a backend does. */
enum { CONTROL_FP32, SIDE_FP32, CONTROL_BF16, SIDE_BF16, SIDES };

struct bench {
    const char *network_file, *backend;
    int images, groups, states, apart, steps, threads;
    int sides; /* SIDES, or fp32 and its control only */
    enum device device;
    struct network network;
    struct pool *pool;
    struct pass_batch batch;
    uint8_t *pictures, *prototypes;
    int labels[MOST_IMAGES];
    size_t picture; /* bytes */
    size_t size;    /* of the parameters */
    struct subnetwork subs[MOST_IMAGES];
    real *start; /* weights */
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------------ the task */

/* Large tiles of random colours: something that a small network learns within some hundred steps.
 */
static void draw_prototype(const struct network *network, struct random_sequence *random,
                           uint8_t *picture) {
    enum { TILES = 4 };
    uint8_t tiles[TILES][TILES][8];
    for (size_t i = 0; i < sizeof tiles; i++)
        (&tiles[0][0][0])[i] = (uint8_t)random_next(random);
    for (int y = 0; y < network->height; y++)
        for (int x = 0; x < network->width; x++)
            for (int c = 0; c < network->channels; c++)
                *picture++ = tiles[y * TILES / network->height][x * TILES / network->width][c];
}

static enum status create_task(struct bench *bench) {
    const struct network *network = &bench->network;
    bench->picture = (size_t)network->height * network->width * network->channels;
    TRY(allocate(&bench->pictures, bench->images * bench->picture, 1, "pictures"));
    TRY(allocate(&bench->prototypes, network->classes * bench->picture, 1, "prototypes"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (int class = 0; class < network->classes; class ++)
        draw_prototype(network, &random, bench->prototypes + class * bench->picture);
    bench->batch = (struct pass_batch){.pictures = bench->pictures, .labels = bench->labels};
    return STATUS_OK;
}

/* The pictures and sub-networks of a step. */
static void draw_step(struct bench *bench, uint64_t step) {
    struct random_sequence random = random_sequence(2, RANDOM_AUGMENT, step, 0);
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM, .batch_groups = bench->groups};
    uint32_t classes = (uint32_t)bench->network.classes;
    for (int i = 0; i < bench->images; i++) {
        uint32_t class = random_below(&random, classes);
        bool wrong = random_below(&random, 5) == 0;
        bench->labels[i] = (int)(wrong ? random_below(&random, classes) : class);
        const uint8_t *prototype = bench->prototypes + class * bench->picture;
        uint8_t *picture = bench->pictures + i * bench->picture;
        for (size_t p = 0; p < bench->picture; p++)
            picture[p] = (uint8_t)((prototype[p] + 3 * (random_next(&random) >> 24)) / 4);
    }
    for (int g = 0; g < bench->groups; g++)
        bench->subs[g] =
            sampler_draw(&sampler, &bench->network, step * (uint64_t)bench->groups + g, 0);
}

/* ------------------------------------------------------------------ a side */

static enum status take(const struct side *side, real **vector, size_t count) {
    return side->ops->memory->take(vector, (count + READ_SLACK) * sizeof(real), "a vector");
}

static enum status open_side(const struct bench *bench, struct side *side, const struct ops *ops,
                             double off, const char *name) {
    struct pass_options options = {.images = bench->images,
                                   .groups = bench->groups,
                                   .backward = true,
                                   .epsilon = 1e-5f,
                                   .mean = {.5f, .5f, .5f},
                                   .deviation = {.25f, .25f, .25f}};
    *side = (struct side){.ops = ops, .off = off, .name = name ? name : ops->name};
    TRY(pass_create(&side->pass, &bench->network, ops, bench->pool, &options));
    size_t size = pass_parameters(side->pass)->size;
    TRY(allocate(&side->host_gradient, size, sizeof(real), "a gradient"));
    TRY(take(side, &side->weights, size));
    TRY(take(side, &side->gradient, size));
    return take(side, &side->velocity, size);
}

static void close_side(struct side *side) {
    if (side->ops == NULL)
        return;
    side->ops->memory->give_back(side->weights);
    side->ops->memory->give_back(side->gradient);
    side->ops->memory->give_back(side->velocity);
    pass_release(side->pass);
    free(side->host_gradient);
}

/* To the start of a training. */
static enum status reset(const struct bench *bench, struct side *side) {
    const struct memory *memory = side->ops->memory;
    TRY(memory->copy(side->weights, bench->start, bench->size * sizeof(real)));
    return memory->clear(side->velocity, bench->size * sizeof(real));
}

/* Loss and gradient of the step drawn last, at `weights`. */
static enum status compute(const struct bench *bench, struct side *side, const real *weights) {
    struct batch_group groups[MOST_IMAGES];
    struct pass_result result;
    for (int g = 0; g < bench->groups; g++)
        groups[g] = (struct batch_group){&bench->subs[g], bench->images / bench->groups};
    TRY(pass_set_groups(side->pass, groups, bench->groups));
    TRY(pass_set_parameters(side->pass, weights));
    TRY(pass_forward_backward(side->pass, &bench->batch, side->gradient, &result));
    side->loss = result.loss;
    return STATUS_OK;
}

static enum status update(const struct bench *bench, struct side *side) {
    struct update update = {.kind = OPTIMISER_SGD, .rate = 0.02f, .momentum = 0.9f, .decay = 1e-4f};
    return side->ops->update(&update, bench->size, side->weights, side->gradient, side->velocity,
                             NULL);
}

/* ------------------------------------------------------------------ equal states */

struct differences {
    double loss[MOST_STATES];   /* relative */
    double whole[MOST_STATES];  /* gradient of all parameters */
    double worst[MOST_STATES];  /* of the parameter that is off most */
    double median[MOST_STATES]; /* of the parameters */
    long compared, outside;     /* gradients, and those beyond the bound */
    double worst_of_all;
    char worst_name[MAX_NAME + 32];
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static double largest(const double *values, int count) {
    double most = 0;
    for (int i = 0; i < count; i++)
        most = !(values[i] <= most) ? values[i] : most;
    return most;
}

/* Squared norms of a difference and of what it is measured by. */
static void norms(const real *a, const real *b, size_t count, double *off, double *size) {
    *off = *size = 0;
    for (size_t i = 0; i < count; i++) {
        *off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        *size += (double)b[i] * (double)b[i];
    }
}

static void compare(const struct side *side, const struct side *cpu, int state,
                    struct differences *differences) {
    const struct parameters *parameters = pass_parameters(cpu->pass);
    double off, size, whole, *shares = calloc((size_t)parameters->count, sizeof *shares);
    int count = 0;
    norms(side->host_gradient, cpu->gradient, parameters->size, &off, &whole);
    differences->loss[state] = fabs(side->loss - cpu->loss) / cpu->loss;
    differences->whole[state] = sqrt(off / whole);
    for (int i = 0; i < parameters->count && shares; i++) {
        const struct parameter *parameter = &parameters->list[i];
        norms(side->host_gradient + parameter->offset, cpu->gradient + parameter->offset,
              parameter->count, &off, &size);
        if (size <= NOISE * NOISE * whole)
            continue;
        double share = shares[count++] = sqrt(off / size);
        differences->outside += !(share <= GRADIENT_BOUND);
        if (!(share <= differences->worst_of_all)) {
            differences->worst_of_all = share;
            snprintf(differences->worst_name, sizeof differences->worst_name, "%s",
                     parameter->name);
        }
    }
    differences->compared += count;
    differences->worst[state] = largest(shares, count);
    differences->median[state] = count > 0 ? median(shares, count) : 0;
    free(shares);
}

static void perturb(const struct bench *bench, struct side *control, const struct side *cpu,
                    int state) {
    struct random_sequence random = random_sequence(3, RANDOM_AUGMENT, (uint64_t)state, 0);
    for (size_t i = 0; i < bench->size; i++) {
        double off = random_below(&random, 2) ? control->off : -control->off;
        control->weights[i] = (real)(cpu->weights[i] * (1 + off));
    }
}

static enum status visit_state(const struct bench *bench, struct side *side, const struct side *cpu,
                               int state, struct differences *differences) {
    const struct memory *memory = side->ops->memory;
    if (side->off > 0)
        perturb(bench, side, cpu, state);
    TRY(compute(bench, side, side->off > 0 ? side->weights : cpu->weights));
    TRY(memory->copy(side->host_gradient, side->gradient, bench->size * sizeof(real)));
    TRY(memory->finish());
    compare(side, cpu, state, differences);
    return STATUS_OK;
}

/* Not the start itself: there all biases are zero, and scales before a batch-norm have no effect.
 */
static enum status visit_states(struct bench *bench, struct side *cpu, struct side sides[SIDES],
                                struct differences differences[SIDES]) {
    TRY(reset(bench, cpu));
    for (int step = 1; step <= bench->states * bench->apart; step++) {
        draw_step(bench, (uint64_t)step);
        TRY(compute(bench, cpu, cpu->weights));
        for (int i = 0; i < bench->sides && step % bench->apart == 0; i++)
            TRY(visit_state(bench, &sides[i], cpu, step / bench->apart - 1, &differences[i]));
        TRY(update(bench, cpu));
    }
    return STATUS_OK;
}

static void print_states(const struct bench *bench, const struct side *side,
                         struct differences *differences) {
    int states = bench->states;
    double loss = largest(differences->loss, states), whole = largest(differences->whole, states);
    printf("{\"benchmark\": \"parity of a step\", \"device\": \"%s\", \"network\": \"%s\", "
           "\"batch\": %d, \"groups\": %d, \"states\": %d, \"loss_worst\": %.3g, "
           "\"loss_median\": %.3g, \"gradient_worst\": %.3g, \"gradient_worst_name\": \"%s\", "
           "\"gradient_worst_median_of_states\": %.3g, \"gradient_median\": %.3g, "
           "\"whole_gradient_worst\": %.3g, \"whole_gradient_median\": %.3g, "
           "\"gradients\": %ld, \"gradients_beyond_1e-3\": %ld, \"loss_within_1e-5\": %s}\n",
           side->name, bench->network_file, bench->images, bench->groups, states, loss,
           median(differences->loss, states), differences->worst_of_all, differences->worst_name,
           median(differences->worst, states), median(differences->median, states), whole,
           median(differences->whole, states), differences->compared, differences->outside,
           loss <= LOSS_BOUND ? "true" : "false");
}

/* ------------------------------------------------------------------ a short training */

static enum status train(struct bench *bench, struct side *side, double *mean, double *time) {
    int last = bench->steps / 10 > 0 ? bench->steps / 10 : 1;
    double start = seconds();
    *mean = 0;
    TRY(reset(bench, side));
    for (int step = 0; step < bench->steps; step++) {
        draw_step(bench, (uint64_t)step);
        TRY(compute(bench, side, side->weights));
        TRY(update(bench, side));
        if (step >= bench->steps - last)
            *mean += side->loss / last;
    }
    TRY(side->ops->memory->finish());
    *time = seconds() - start;
    return STATUS_OK;
}

static enum status compare_training(struct bench *bench, struct side *cpu,
                                    struct side sides[SIDES]) {
    double expected, mean, time, cpu_time;
    TRY(train(bench, cpu, &expected, &cpu_time));
    for (int i = 0; i < bench->sides; i++) {
        if (sides[i].off > 0)
            continue;
        TRY(train(bench, &sides[i], &mean, &time));
        printf("{\"benchmark\": \"parity of a training\", \"device\": \"%s\", \"network\": \"%s\", "
               "\"batch\": %d, \"groups\": %d, \"steps\": %d, \"mean_loss_of_last_tenth\": %.5f, "
               "\"cpu_mean_loss\": %.5f, \"ratio\": %.5f, \"seconds\": %.2f, "
               "\"cpu_seconds\": %.2f, \"bound_kept\": %s}\n",
               sides[i].name, bench->network_file, bench->images, bench->groups, bench->steps, mean,
               expected, mean / expected, time, cpu_time,
               fabs(mean / expected - 1) <= TRAINING_BOUND ? "true" : "false");
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------------ arguments */

static enum status read_arguments(struct bench *bench, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "network=", 8) == 0)
            bench->network_file = word + 8;
        else if (strncmp(word, "backend=", 8) == 0)
            bench->backend = word + 8;
        else if (strcmp(word, "device=cpu") == 0)
            bench->device = DEVICE_CPU; /* with itself: for trying the program */
        else if (strcmp(word, "precision=fp32") == 0)
            bench->sides = SIDE_FP32 + 1;
        else if (strcmp(word, "device=cuda") != 0 &&
                 sscanf(word, "batch=%d", &bench->images) != 1 &&
                 sscanf(word, "groups=%d", &bench->groups) != 1 &&
                 sscanf(word, "states=%d", &bench->states) != 1 &&
                 sscanf(word, "apart=%d", &bench->apart) != 1 &&
                 sscanf(word, "steps=%d", &bench->steps) != 1 &&
                 sscanf(word, "threads=%d", &bench->threads) != 1)
            return fail(STATUS_USAGE, "bench_parity [network=FILE] [batch=N] [groups=N] "
                                      "[states=N] [apart=N] [steps=N] [threads=N] "
                                      "[precision=fp32] [device=cuda|cpu] [backend=FILE]");
    }
    if (bench->images < 1 || bench->images > MOST_IMAGES || bench->groups < 1 ||
        bench->images % bench->groups != 0 || bench->states < 1 || bench->states > MOST_STATES ||
        bench->apart < 1 || bench->steps < 1 || bench->threads < 1)
        return fail(STATUS_USAGE,
                    "all numbers are positive, groups divide the batch; at most %d "
                    "images and %d states",
                    MOST_IMAGES, MOST_STATES);
    return network_read(&bench->network, bench->network_file);
}

static enum status open_sides(struct bench *bench, struct side *cpu, struct side sides[SIDES]) {
    static const enum precision precisions[SIDES] = {
        [SIDE_FP32] = PRECISION_FP32, [SIDE_BF16] = PRECISION_BF16};
    char reason[BACKEND_REASON];
    TRY(open_side(bench, cpu, ops_cpu(), 0, NULL));
    TRY(open_side(bench, &sides[CONTROL_FP32], ops_cpu(), 0x1p-23, "cpu, weights off by 2^-23"));
    TRY(open_side(bench, &sides[CONTROL_BF16], ops_cpu(), 0x1p-9, "cpu, weights off by 2^-9"));
    for (int i = SIDE_FP32; i < bench->sides; i += SIDE_BF16 - SIDE_FP32) {
        const struct ops *ops;
        TRY(backend_choose(bench->device, bench->backend, precisions[i], &ops, reason));
        TRY(open_side(bench, &sides[i], ops, 0, NULL));
    }
    const struct parameters *parameters = pass_parameters(cpu->pass);
    bench->size = parameters->size;
    TRY(allocate(&bench->start, parameters->size, sizeof(real), "weights"));
    parameters_initialise(parameters, 1, bench->start);
    return STATUS_OK;
}

static enum status run(int argc, char **argv) {
    static struct differences differences[SIDES];
    static struct bench bench = {.network_file = "benchmarks/net-s.yaml",
                                 .backend = "",
                                 .images = 64,
                                 .groups = 8,
                                 .states = 100,
                                 .apart = 5,
                                 .steps = 500,
                                 .sides = SIDES,
                                 .device = DEVICE_CUDA};
    struct side cpu = {0}, sides[SIDES] = {{0}};
    bench.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    TRY(read_arguments(&bench, argc, argv));
    TRY(pool_create(&bench.pool, bench.threads));
    TRY(create_task(&bench));
    TRY(open_sides(&bench, &cpu, sides));
    TRY(visit_states(&bench, &cpu, sides, differences));
    for (int i = 0; i < bench.sides; i++)
        print_states(&bench, &sides[i], &differences[i]);
    TRY(compare_training(&bench, &cpu, sides));
    close_side(&cpu);
    for (int i = 0; i < SIDES; i++)
        close_side(&sides[i]);
    free(bench.start);
    free(bench.pictures);
    free(bench.prototypes);
    pool_release(bench.pool);
    network_release(&bench.network);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
