/* What `taper estimate` measures, beside what a run would take. */
#include "commands/probe.h"
#include "commands/probe_loader.h"
#include "search/scoring.h"
#include "training/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ops *ops;

static int choose_cpu(void **state) {
    (void)state;
    char reason[BACKEND_REASON];
    return backend_choose(DEVICE_CPU, "", PRECISION_FP32, &ops, reason);
}

static void read_smoke(struct config *config, const char *const *settings, int count) {
    if (config_read(config, TAPER_SOURCE_DIR "/configs/smoke.yaml", settings, count) != STATUS_OK)
        fail_msg("%s", failure());
}

static double bytes_of(const struct config *config, int images, int groups, bool backward) {
    struct pass *pass;
    struct pass_options options = run_pass_options(config);
    options.images = images;
    options.groups = groups;
    options.backward = backward;
    options.branches = backward ? 1 : SCORED_TOGETHER;
    assert_int_equal(pass_create(&pass, &config->network, ops, NULL, &options), STATUS_OK);
    double bytes = (double)pass_bytes(pass);
    pass_release(pass);
    return bytes;
}

/* The line through two small passes against large ones. What lies in it by steps (alignment, tables
 * per group of the other number of groups) is within a hundredth. */
static void memory_grows_by_the_image(void **state) {
    (void)state;
    static const char *const settings[] = {"supernet.subnets_per_batch=3",
                                           "supernet.batch_images=96"};
    struct config config;
    struct probe_memory memory;
    read_smoke(&config, settings, 2);
    assert_int_equal(probe_memory_run(&memory, &config, ops, NULL), STATUS_OK);
    for (int images = 96; images <= 768; images *= 2) {
        double training = bytes_of(&config, images, 3, true);
        double plain = bytes_of(&config, images, 1, true);
        double evaluation = bytes_of(&config, images, 1, false);
        assert_float_equal(pass_memory_of(&memory.training, images) / training, 1, 0.01);
        assert_float_equal(pass_memory_of(&memory.training, images) / plain, 1, 0.05);
        assert_float_equal(pass_memory_of(&memory.evaluation, images) / evaluation, 1, 0.01);
    }
    config_release(&config);
}

static void missing_files_are_synthetic(void **state) {
    (void)state;
    static const char *const settings[] = {"data.source=folder", "data.folder=/nowhere",
                                           "data.decoders=3"};
    struct config config;
    struct loader_probe probe;
    read_smoke(&config, settings, 3);
    assert_int_equal(loader_probe_run(&probe, &config, ops, NULL), STATUS_OK);
    assert_string_equal(failure(), "");
    assert_non_null(strstr(probe.missing, "/nowhere"));
    assert_int_equal(probe.train_images, 0);
    assert_int_equal(probe.threads, 3);
    assert_true(probe.images_per_second > 0);
    /* ImageNet's training part: 147.9 GB in 1,281,167 files */
    assert_float_equal(probe.file_bytes / (147.9e9 / 1281167), 1, 0.1);
    config_release(&config);
}

/* Nothing stands in for what a run would refuse, and for files that are no pictures. */
static void other_errors_stay(void **state) {
    (void)state;
    static const struct {
        const char *settings[2], *words;
    } cases[] = {{{"network.input.height=32", "seed=1"}, "the network reads pictures of 32x28"},
                 {{"data.holdout_images=60001", "seed=1"}, "data.holdout_images needs"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config;
        struct loader_probe probe;
        read_smoke(&config, cases[i].settings, 2);
        assert_int_equal(loader_probe_run(&probe, &config, ops, NULL), STATUS_USAGE);
        assert_non_null(strstr(failure(), cases[i].words));
        failure_clear();
        config_release(&config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_grows_by_the_image),
                                       cmocka_unit_test(missing_files_are_synthetic),
                                       cmocka_unit_test(other_errors_stay)};
    return cmocka_run_group_tests(tests, choose_cpu, NULL);
}
