/* Whole passes on a backend that is loaded at run time, against the CPU's: losses, logits, every
 * gradient, statistics; per group, shared, given; and replays with other widths.
 *
 *   test_pass_cuda BACKEND fp32|bf16 */
#include "network/fold.h"
#include "supernet/backend.h"
#include "support_branches.h"
#include "support_network.h"
#include "support_pass.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ops *backend;

/* Of a vector's norm. fp32: sums of a few hundred terms differ by their order only; every gradient
 * agrees. bf16: every stored activation and product operand is off by up to 2^-9 of itself; some 20
 * roundings lie one behind the other in each direction, slopes flip where a pre-activation is near
 * a kink, and statistics of three small images magnify both: single gradients of scales and shifts,
 * which are small differences, were seen off by 26 %. So the gradient counts as a whole. */
static double gradient_bound, whole_bound, value_bound, zero_bound;

static double difference(const real *a, const real *b, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

static void assert_near(const char *what, const real *a, const real *b, size_t count,
                        double bound) {
    double off = difference(a, b, count);
    if (!(off <= bound))
        fail_msg("%s is off by %g of its norm, more than %g", what, off, bound);
}

/* A pass of either backend on the same weights. */
struct side {
    const struct ops *ops;
    struct pass *pass;
    real *device_gradient, *gradient, *statistics;
    real logits[PASS_IMAGES][PASS_CLASSES];
    struct pass_result result;
};

static void open_side(struct side *side, const struct ops *ops, const struct network *network,
                      int groups, bool shared) {
    *side = (struct side){.ops = ops};
    side->pass = pass_make(network, ops, groups, shared, 0, NULL);
    size_t size = pass_parameters(side->pass)->size + READ_SLACK;
    assert_int_equal(ops->memory->take(&side->device_gradient, size * sizeof(real), "gradient"),
                     STATUS_OK);
    side->gradient = calloc(size, sizeof(real));
    side->statistics = calloc(pass_statistics(side->pass)->size, sizeof(real));
}

static void close_side(struct side *side) {
    side->ops->memory->give_back(side->device_gradient);
    pass_release(side->pass);
    free(side->gradient);
    free(side->statistics);
}

static void run_side(struct side *side, const struct batch_group *groups, int count,
                     const real *weights, bool backward, enum statistics_source source) {
    struct pass_batch batch = pass_batch_from(0);
    assert_int_equal(pass_set_groups(side->pass, groups, count), STATUS_OK);
    assert_int_equal(pass_set_parameters(side->pass, weights), STATUS_OK);
    enum status status =
        backward ? pass_forward_backward(side->pass, &batch, side->device_gradient, &side->result)
                 : pass_forward(side->pass, &batch, source, &side->result);
    if (status != STATUS_OK)
        fail_msg("%s", failure());
    assert_int_equal(pass_logits(side->pass, PASS_IMAGES, *side->logits), STATUS_OK);
    if (backward)
        assert_int_equal(side->ops->memory->copy(side->gradient, side->device_gradient,
                                                 pass_parameters(side->pass)->size * sizeof(real)),
                         STATUS_OK);
    assert_int_equal(side->ops->memory->finish(), STATUS_OK);
}

static void assert_gradients(const struct side *device, const struct side *cpu) {
    const struct parameters *parameters = pass_parameters(cpu->pass);
    assert_near("the gradient", device->gradient, cpu->gradient, parameters->size, whole_bound);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *part = &parameters->list[i];
        const real *expected = cpu->gradient + part->offset;
        double size = 0;
        for (size_t e = 0; e < part->count; e++)
            size += fabs((double)expected[e]);
        if (size < 1e-6) /* rounding noise of a gradient that is zero */
            continue;
        assert_near(part->name, device->gradient + part->offset, expected, part->count,
                    gradient_bound);
        for (size_t e = 0; e < part->count; e++) /* dropped, or a sum that happens to cancel */
            if (expected[e] == 0)
                assert_true(fabs((double)device->gradient[part->offset + e]) < zero_bound);
    }
}

static void assert_sides_agree(const struct side *device, const struct side *cpu) {
    assert_near("logits", *device->logits, *cpu->logits, PASS_IMAGES * PASS_CLASSES, value_bound);
    for (int i = 0; i < PASS_IMAGES; i++)
        assert_true(fabs(device->result.losses[i] - cpu->result.losses[i]) <=
                    value_bound * (1 + cpu->result.losses[i]));
}

/* sizes: 1, or 2 for pictures of two sizes in turn. */
static void check_training(int count, bool shared, uint32_t sizes) {
    struct network network;
    struct side device, cpu;
    pass_network(&network);
    if (sizes > 1)
        network_add_resolutions(&network, OPTIONS(PASS_HEIGHT, 6), OPTIONS(PASS_WIDTH, 5));
    open_side(&device, backend, &network, count, shared);
    open_side(&cpu, ops_cpu(), &network, count, shared);
    real *weights = pass_random_parameters(pass_parameters(cpu.pass));
    /* The first run of a size is done call by call, the second recorded, the others replay it. */
    for (uint32_t run = 0; run < 4 * sizes; run++) {
        struct subnetwork subs[PASS_IMAGES];
        struct batch_group groups[PASS_IMAGES];
        for (int g = 0; g < count; g++) {
            subs[g] = pass_draw(&network, run * 100 + (uint32_t)g);
            if (sizes > 1)
                subs[g].option[RESOLUTION_CHOICE] = (short)(run % sizes);
            groups[g] = (struct batch_group){&subs[g], PASS_IMAGES / count};
        }
        run_side(&device, groups, count, weights, true, STATISTICS_BATCH);
        run_side(&cpu, groups, count, weights, true, STATISTICS_BATCH);
        assert_sides_agree(&device, &cpu);
        assert_gradients(&device, &cpu);
    }
    free(weights);
    close_side(&device);
    close_side(&cpu);
    network_release(&network);
}

static void groups_train_as_on_the_cpu(void **state) {
    (void)state;
    check_training(4, false, 1);
}

static void one_group_trains_as_on_the_cpu(void **state) {
    (void)state;
    check_training(1, false, 1);
}

static void shared_statistics_train_as_on_the_cpu(void **state) {
    (void)state;
    check_training(4, true, 1);
    check_training(PASS_IMAGES, true, 1);
}

static void pictures_of_two_sizes_train_as_on_the_cpu(void **state) {
    (void)state;
    check_training(4, false, 2);
}

static void statistics_are_measured_and_given(void **state) {
    (void)state;
    struct network network;
    struct side device, cpu;
    pass_network(&network);
    open_side(&device, backend, &network, 1, false);
    open_side(&cpu, ops_cpu(), &network, 1, false);
    real *weights = pass_random_parameters(pass_parameters(cpu.pass));
    size_t count = pass_statistics(cpu.pass)->size;
    for (uint32_t run = 0; run < 3; run++) {
        struct subnetwork sub = run ? pass_draw(&network, run) : subnetwork_largest(&network);
        struct batch_group group = {&sub, PASS_IMAGES};
        run_side(&device, &group, 1, weights, false, STATISTICS_BATCH);
        run_side(&cpu, &group, 1, weights, false, STATISTICS_BATCH);
        assert_sides_agree(&device, &cpu);
        assert_int_equal(pass_batch_statistics(cpu.pass, cpu.statistics), STATUS_OK);
        assert_int_equal(pass_batch_statistics(device.pass, device.statistics), STATUS_OK);
        assert_int_equal(backend->memory->finish(), STATUS_OK);
        if (run == 0) /* others leave rows of dropped channels as they were */
            assert_near("statistics", device.statistics, cpu.statistics, count, value_bound);
        assert_int_equal(pass_set_statistics(cpu.pass, cpu.statistics), STATUS_OK);
        assert_int_equal(pass_set_statistics(device.pass, cpu.statistics), STATUS_OK);
        run_side(&device, &group, 1, weights, false, STATISTICS_GIVEN);
        run_side(&cpu, &group, 1, weights, false, STATISTICS_GIVEN);
        assert_sides_agree(&device, &cpu);
    }
    free(weights);
    close_side(&device);
    close_side(&cpu);
    network_release(&network);
}

static void branches_have_the_bits_of_one_alone(void **state) {
    (void)state;
    struct network network;
    pass_network(&network);
    branches_must_agree(&network, backend, NULL, 0, false);
    network_release(&network);
}

/* Weights with the statistics of a batch folded into them, from the CPU; the logits that they must
 * give stay with it. */
static real *fold_on_the_cpu(struct side *cpu, const struct batch_group *group) {
    real *weights = pass_random_parameters(pass_parameters(cpu->pass));
    real *folded = calloc(pass_parameters(cpu->pass)->size, sizeof *folded);
    run_side(cpu, group, 1, weights, false, STATISTICS_BATCH);
    assert_int_equal(pass_batch_statistics(cpu->pass, cpu->statistics), STATUS_OK);
    fold_norms(pass_parameters(cpu->pass), weights, pass_statistics(cpu->pass), cpu->statistics,
               1e-5, folded);
    free(weights);
    return folded;
}

/* A pass without batch-norms, first call by call, then recorded, then replayed; once the pictures
 * are on the device they are not given again. */
static void folded_networks_are_as_on_the_cpu(void **state) {
    (void)state;
    struct network network;
    struct side cpu;
    struct pass *pass = NULL;
    struct pass_result result;
    static real logits[PASS_IMAGES][PASS_CLASSES];
    pass_network(&network);
    open_side(&cpu, ops_cpu(), &network, 1, false);
    struct subnetwork largest = subnetwork_largest(&network);
    struct batch_group group = {&largest, PASS_IMAGES};
    real *folded = fold_on_the_cpu(&cpu, &group);
    const struct pass_options options = {.images = PASS_IMAGES,
                                         .groups = 1,
                                         .folded = true,
                                         .mean = {(real)0.5, (real)0.4},
                                         .deviation = {(real)0.25, (real)0.3}};
    assert_int_equal(pass_create(&pass, &network, backend, NULL, &options), STATUS_OK);
    assert_int_equal(pass_set_groups(pass, &group, 1), STATUS_OK);
    assert_int_equal(pass_set_parameters(pass, folded), STATUS_OK);
    struct pass_batch batch = {.pictures = pass_batch_from(0).pictures};
    for (int run = 0; run < 4; run++) {
        assert_int_equal(pass_forward(pass, &batch, STATISTICS_GIVEN, &result), STATUS_OK);
        assert_int_equal(pass_logits(pass, PASS_IMAGES, *logits), STATUS_OK);
        assert_near("logits", *logits, *cpu.logits, PASS_IMAGES * PASS_CLASSES, value_bound);
        batch.pictures = pass_device_pictures(pass);
        assert_non_null(batch.pictures);
    }
    free(folded);
    pass_release(pass);
    close_side(&cpu);
    network_release(&network);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_train_as_on_the_cpu),
        cmocka_unit_test(one_group_trains_as_on_the_cpu),
        cmocka_unit_test(shared_statistics_train_as_on_the_cpu),
        cmocka_unit_test(pictures_of_two_sizes_train_as_on_the_cpu),
        cmocka_unit_test(statistics_are_measured_and_given),
        cmocka_unit_test(branches_have_the_bits_of_one_alone),
        cmocka_unit_test(folded_networks_are_as_on_the_cpu),
    };
    bool bf16 = argc == 3 && strcmp(argv[2], "bf16") == 0;
    if (argc != 3 ||
        backend_load(argv[1], bf16 ? PRECISION_BF16 : PRECISION_FP32, &backend) != STATUS_OK) {
        fprintf(stderr, "error: %s\n", argc == 3 ? failure() : "test_pass_cuda BACKEND fp32|bf16");
        return 1;
    }
    gradient_bound = bf16 ? 0.5 : 1e-3;
    whole_bound = bf16 ? 0.15 : 1e-4;
    zero_bound = bf16 ? 1e-4 : 1e-8;
    value_bound = bf16 ? 0.05 : 1e-4;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
