/* The floor of a training step: the multiplications and the fewest bytes that a network asks for,
 * and the time that they take at a given bandwidth and rate.
 *
 *   bench_roofline [network=FILE] [batch=128] [groups=16] [draws=20] [terabytes=3.0]
 *                  [teraflops=400] [element=2]
 *
 * Of full widths, and of ordered dropout (mean over `draws` batches of `groups` random
 * sub-networks). Three ways to count a step's bytes; optimiser and weights are a line of their own
 * in each: operations  every operation of our pass by itself, see supernet/work.h on load
 * batch-norm, activation and everything between two convolutions are applied by who reads: per
 * convolution, forward reads the input and writes the output; the gradient of the input reads the
 * output's and writes its own; that of the weights reads the input and the output's gradient;
 * batch-norm's derivative reads the output once more eager       each of convolution, statistics,
 * normalise, activate and add goes through memory by itself, as a framework without fusion does it
 * Prints a table on the standard error stream and JSON rows. */
#include "config/config.h"
#include "supernet/sampler.h"
#include "supernet/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 2 * MAX_LAYERS * 6 };

enum model { BY_OPERATION, ON_LOAD, EAGER, MODELS };
static const char *const model_names[] = {"operations", "on load", "eager"};

struct roofline {
    const char *network_file;
    int images, groups, draws, element;
    double bandwidth, rate; /* bytes and floating-point operations a second */
    struct network network;
    struct pass *pass;
    double in, out; /* elements of convolutions, of the whole batch */
    double macs, elements[MODELS];
    double row_macs[MOST_ROWS], row_elements[MOST_ROWS]; /* [backward][step] */
};

/* ------------------------------------------------------------------ counting */

/* Whether an activation follows the convolution's batch-norm. */
static bool activated(const struct pass *pass, const struct step *step) {
    const struct layer *layer = &pass->network->layers[step->layer];
    return step->part != PART_PROJECT && layer->activation != ACTIVATION_NONE;
}

/* Per image. Linear layers have one pixel. */
static void count_convolution(struct roofline *roofline, const struct step *step, int group,
                              double images) {
    const struct pass *pass = roofline->pass;
    const struct convolution *convolution = &step->convolution;
    double out = images * image_elements(pass, &convolution->output, group);
    double in = out > 0 ? images * image_elements(pass, convolution->input.tensor, group) : 0;
    double in_gradient = convolution->input.gradient ? in + out : 0;
    double products = in + out + in_gradient + in + out; /* forward, and both gradients */
    roofline->in += in;
    roofline->out += out;
    roofline->elements[ON_LOAD] += products + (convolution->norm ? out : 0);
    /* statistics 1, normalise 2; backward two sums 2, apply 3 */
    double norm = convolution->norm ? 8 * out : 0;
    /* 2; backward 3 */
    double activation = activated(pass, step) ? 5 * out : 0;
    roofline->elements[EAGER] += products + norm + activation;
}

/* What lies between convolutions: on load it costs nothing more. */
static void count_between(struct roofline *roofline, const struct step *step, int group,
                          double images) {
    const struct pass *pass = roofline->pass;
    double elements = 0;
    if (step->kind == STEP_SQUEEZE_EXCITE) /* mean 1, scale 2; backward 2 (gate), 2, 1 */
        elements = 8 * image_elements(pass, step->squeeze_excite.input.tensor, group);
    else if (step->kind == STEP_COMBINE && step->combine.shortcut.tensor) /* add 3; backward 3 */
        elements = 6 * image_elements(pass, &step->combine.output, group);
    else if (step->kind == STEP_POOL)
        elements = 2 * image_elements(pass, step->pool.input.tensor, group);
    roofline->elements[EAGER] += images * elements;
}

static void count_group(struct roofline *roofline, int group, double images) {
    const struct pass *pass = roofline->pass;
    for (int i = 0; i < pass->step_count; i++) {
        const struct step *step = &pass->steps[i];
        for (int backward = 0; backward < 2; backward++) {
            struct work work = step_work(pass, step, group, backward);
            int row = backward * pass->step_count + i;
            roofline->row_macs[row] += images * work.macs;
            roofline->row_elements[row] += images * work.elements;
            roofline->macs += images * work.macs;
            roofline->elements[BY_OPERATION] += images * work.elements;
        }
        if (step_is_convolution(step))
            count_convolution(roofline, step, group, images);
        else
            count_between(roofline, step, group, images);
    }
}

static void clear_counts(struct roofline *roofline) {
    roofline->in = roofline->out = roofline->macs = 0;
    memset(roofline->elements, 0, sizeof roofline->elements);
    memset(roofline->row_macs, 0, sizeof roofline->row_macs);
    memset(roofline->row_elements, 0, sizeof roofline->row_elements);
}

static enum status count(struct roofline *roofline, bool uniform) {
    struct sampler sampler = {.seed = 1, .kind = DRAW_UNIFORM, .batch_groups = roofline->groups};
    int groups = uniform ? roofline->groups * roofline->draws : 1;
    clear_counts(roofline);
    for (int g = 0; g < groups; g++) {
        struct subnetwork sub = uniform ? sampler_draw(&sampler, &roofline->network, (uint64_t)g, 0)
                                        : subnetwork_largest(&roofline->network);
        struct batch_group group = {&sub, 1};
        TRY(pass_set_groups(roofline->pass, &group, 1));
        count_group(roofline, 0, (double)roofline->images / groups);
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------------ what it says */

/* Weights in the element type written and read (forward, backward); gradient cleared, added to, and
 * read by the optimiser; momentum and the weights themselves read and written. */
static double weight_step_bytes(const struct roofline *roofline) {
    double reals = 1 + 1 + 2 + 1 + 2 + 2, elements = 3;
    return (double)pass_parameters(roofline->pass)->size *
           (reals * sizeof(real) + elements * roofline->element);
}

static double floor_time(const struct roofline *roofline, double bytes, double macs) {
    double memory = bytes / roofline->bandwidth, products = 2 * macs / roofline->rate;
    return memory > products ? memory : products;
}

static void print_step(const struct roofline *roofline, const char *widths) {
    double weights = weight_step_bytes(roofline), images = roofline->images;
    fprintf(stderr,
            "%s: %.2f M input, %.2f M output elements and %.1f M MACs (forward and backward) a "
            "picture\n",
            widths, roofline->in / images / 1e6, roofline->out / images / 1e6,
            roofline->macs / images / 1e6);
    for (enum model model = BY_OPERATION; model < MODELS; model++) {
        double bytes = roofline->elements[model] * roofline->element;
        double time = floor_time(roofline, bytes, roofline->macs);
        double all = time + weights / roofline->bandwidth;
        fprintf(stderr, "  %-10s %7.3f GB %7.3f ms %8.0f images/s; with weights %7.3f ms %8.0f\n",
                model_names[model], bytes / 1e9, 1e3 * time, images / time, 1e3 * all,
                images / all);
        printf("{\"benchmark\": \"roofline\", \"network\": \"%s\", \"widths\": \"%s\", "
               "\"groups\": %d, \"batch\": %d, \"model\": \"%s\", \"element_bytes\": %d, "
               "\"input_elements\": %.0f, \"output_elements\": %.0f, \"macs\": %.0f, "
               "\"bytes\": %.0f, \"weight_bytes\": %.0f, \"terabytes_per_second\": %g, "
               "\"teraflops_per_second\": %g, \"milliseconds\": %.4f, "
               "\"images_per_second\": %.0f, \"milliseconds_with_weights\": %.4f}\n",
               roofline->network_file, widths, strcmp(widths, "full") == 0 ? 1 : roofline->groups,
               roofline->images, model_names[model], roofline->element, roofline->in, roofline->out,
               roofline->macs, bytes, weights, roofline->bandwidth / 1e12, roofline->rate / 1e12,
               1e3 * time, images / time, 1e3 * all);
    }
}

static void print_operations(const struct roofline *roofline, const char *widths) {
    const struct pass *pass = roofline->pass;
    for (int row = 0; row < 2 * pass->step_count; row++) {
        const struct step *step = &pass->steps[row % pass->step_count];
        const char *layer = pass->network->layers[step->layer].name;
        const char *call = row < pass->step_count ? "forward" : "backward";
        double bytes = roofline->row_elements[row] * roofline->element;
        double time = floor_time(roofline, bytes, roofline->row_macs[row]);
        fprintf(stderr, "    %-10s %-14s %-8s %9.1f M MACs %9.2f MB %8.2f us\n", layer, step->name,
                call, roofline->row_macs[row] / 1e6, bytes / 1e6, 1e6 * time);
        printf("{\"benchmark\": \"roofline operation\", \"widths\": \"%s\", \"batch\": %d, "
               "\"layer\": \"%s\", \"operation\": \"%s\", \"call\": \"%s\", \"macs\": %.0f, "
               "\"bytes\": %.0f, \"microseconds\": %.3f}\n",
               widths, roofline->images, layer, step->name, call, roofline->row_macs[row], bytes,
               1e6 * time);
    }
}

/* ------------------------------------------------------------------ arguments */

static enum status read_arguments(struct roofline *roofline, int argc, char **argv) {
    double terabytes = 3.0, teraflops = 400;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = strchr(word, '=');
        if (value && strncmp(word, "network=", 8) == 0)
            roofline->network_file = value + 1;
        else if (sscanf(word, "batch=%d", &roofline->images) != 1 &&
                 sscanf(word, "groups=%d", &roofline->groups) != 1 &&
                 sscanf(word, "draws=%d", &roofline->draws) != 1 &&
                 sscanf(word, "element=%d", &roofline->element) != 1 &&
                 sscanf(word, "terabytes=%lf", &terabytes) != 1 &&
                 sscanf(word, "teraflops=%lf", &teraflops) != 1)
            return fail(STATUS_USAGE, "bench_roofline [network=FILE] [batch=N] [groups=N] "
                                      "[draws=N] [terabytes=X] [teraflops=X] [element=BYTES]");
    }
    roofline->bandwidth = 1e12 * terabytes;
    roofline->rate = 1e12 * teraflops;
    if (roofline->images < 1 || roofline->groups < 1 || roofline->draws < 1 ||
        roofline->element < 1 || !(terabytes > 0) || !(teraflops > 0))
        return fail(STATUS_USAGE, "all numbers are positive");
    return network_read(&roofline->network, roofline->network_file);
}

static enum status run(int argc, char **argv) {
    static struct roofline roofline = {.network_file = "benchmarks/mobilenet-v3.yaml",
                                       .images = 128,
                                       .groups = 16,
                                       .draws = 20,
                                       .element = 2};
    struct pass_options options = {.images = 1, .groups = 1, .backward = true, .epsilon = 1e-5f};
    TRY(read_arguments(&roofline, argc, argv));
    TRY(pass_create(&roofline.pass, &roofline.network, ops_cpu(), NULL, &options));
    TRY(count(&roofline, false));
    print_operations(&roofline, "full");
    print_step(&roofline, "full");
    TRY(count(&roofline, true));
    print_operations(&roofline, "uniform");
    print_step(&roofline, "uniform");
    pass_release(roofline.pass);
    network_release(&roofline.network);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
