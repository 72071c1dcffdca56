/* Latency: folded networks compute what they must, times are summed up as defined, and a search
 * under a budget in milliseconds measures every sub-network once. No time itself is asserted. */
#include "metric/bench.h"
#include "metric/metric.h"
#include "network/fold.h"
#include "search/strategy.h"
#include "support/random.h"
#include "support_folder.h"
#include "support_pass.h"
#include "support_tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Weights and biases are rounded to float once more: some 10 layers of sums of up to 100 terms. */
static const double LOGIT_BOUND = 1e-4;

/* ------------------------------------------------------------------ folded networks */

static real *given_statistics(const struct parameters *statistics) {
    real *values = calloc(statistics->size, sizeof *values);
    struct random_sequence random = random_sequence(4, RANDOM_INITIALISE, 0, 0);
    for (int i = 0; i < statistics->count; i++) {
        const struct parameter *parameter = &statistics->list[i];
        for (size_t e = 0; e < parameter->count; e++)
            values[parameter->offset + e] =
                (real)(parameter->role == ROLE_RUNNING_VARIANCE ? 0.3 + random_uniform(&random)
                                                                : 0.5 * random_normal(&random));
    }
    return values;
}

static void run_logits(struct pass *pass, const struct subnetwork *sub,
                       real logits[PASS_IMAGES][PASS_CLASSES]) {
    struct batch_group group = {sub, PASS_IMAGES};
    struct pass_batch batch = pass_batch_from(0);
    struct pass_result result;
    assert_int_equal(pass_set_groups(pass, &group, 1), STATUS_OK);
    assert_int_equal(pass_forward(pass, &batch, STATISTICS_GIVEN, &result), STATUS_OK);
    assert_int_equal(pass_logits(pass, PASS_IMAGES, *logits), STATUS_OK);
}

/* The stand-alone network of `sub`, its batch-norms folded, as a pass without any. */
static void run_deployed(const struct network *network, const struct subnetwork *sub,
                         const struct parameters *parameters, const real *weights,
                         const struct parameters *statistics, const real *running,
                         real logits[PASS_IMAGES][PASS_CLASSES]) {
    struct network alone;
    struct pass *pass = NULL;
    struct pass_options options = {.images = PASS_IMAGES,
                                   .groups = 1,
                                   .folded = true,
                                   .mean = {(real)0.5, (real)0.4},
                                   .deviation = {(real)0.25, (real)0.3}};
    assert_int_equal(network_extract(&alone, network, sub), STATUS_OK);
    assert_int_equal(pass_create(&pass, &alone, ops_cpu(), NULL, &options), STATUS_OK);
    const struct parameters *own = pass_parameters(pass), *rows = pass_statistics(pass);
    real *kept = calloc(own->size, sizeof *kept),
         *kept_rows = calloc(rows->size, sizeof *kept_rows);
    real *folded = calloc(own->size, sizeof *folded);
    assert_int_equal(parameters_extract(parameters, weights, own, kept), STATUS_OK);
    assert_int_equal(parameters_extract(statistics, running, rows, kept_rows), STATUS_OK);
    fold_norms(own, kept, rows, kept_rows, 1e-5, folded);
    assert_int_equal(pass_set_parameters(pass, folded), STATUS_OK);
    struct subnetwork whole = subnetwork_largest(&alone);
    run_logits(pass, &whole, logits);
    free(kept);
    free(kept_rows);
    free(folded);
    pass_release(pass);
    network_release(&alone);
}

static void folded_networks_give_the_same_logits(void **state) {
    (void)state;
    real expected[PASS_IMAGES][PASS_CLASSES], logits[PASS_IMAGES][PASS_CLASSES];
    struct network network;
    pass_network(&network);
    struct pass *pass = pass_make(&network, ops_cpu(), 1, false, 0, NULL);
    const struct parameters *parameters = pass_parameters(pass),
                            *statistics = pass_statistics(pass);
    real *weights = pass_random_parameters(parameters), *running = given_statistics(statistics);
    assert_int_equal(pass_set_parameters(pass, weights), STATUS_OK);
    assert_int_equal(pass_set_statistics(pass, running), STATUS_OK);
    for (uint32_t number = 0; number < 12; number++) {
        struct subnetwork sub = number ? pass_draw(&network, number) : subnetwork_largest(&network);
        double largest = 0, off = 0;
        const real *wanted = &expected[0][0], *given = &logits[0][0];
        run_logits(pass, &sub, expected);
        run_deployed(&network, &sub, parameters, weights, statistics, running, logits);
        for (int i = 0; i < PASS_IMAGES * PASS_CLASSES; i++) {
            largest = fmax(largest, fabs((double)wanted[i]));
            off = fmax(off, fabs((double)wanted[i] - (double)given[i]));
        }
        assert_true(largest > 0.1); /* else there is nothing to compare */
        if (!(off <= LOGIT_BOUND * largest))
            fail_msg("sub-network %u: logits are off by %g of %g", number, off, largest);
    }
    free(weights);
    free(running);
    pass_release(pass);
    network_release(&network);
}

/* ------------------------------------------------------------------ medians */

/* The largest k with P(fewer than k of n coins fall heads) <= 2.5 %, from Pascal's triangle. */
static int rank_of_low(int n) {
    static long double row[64];
    memset(row, 0, sizeof row);
    row[0] = 1;
    for (int i = 1; i <= n; i++)
        for (int j = i; j > 0; j--)
            row[j] += row[j - 1];
    long double tail = 0;
    int k = 0;
    while ((tail + row[k]) / powl(2, n) <= 0.025L)
        tail += row[k++];
    return k;
}

static void intervals_are_those_of_coins(void **state) {
    (void)state;
    double numbers[64];
    for (int n = 1; n < 64; n++) {
        for (int i = 0; i < n; i++)
            numbers[i] = (double)((i * 37 + 11) % n) * (i % 2 ? 2 : 3);
        int k = rank_of_low(n);
        median_sort(numbers, n);
        for (int i = 1; i < n; i++)
            assert_true(numbers[i - 1] <= numbers[i]);
        struct median median = median_of(numbers, n);
        double expected = n % 2 ? numbers[n / 2] : (numbers[n / 2 - 1] + numbers[n / 2]) / 2;
        assert_true(median.value == expected);
        assert_int_equal(k > 0, n >= 6);
        assert_true(median.low == numbers[k > 0 ? k - 1 : 0]);
        assert_true(median.high == numbers[k > 0 ? n - k : n - 1]);
    }
}

/* A skewed distribution with the median log 2: so many intervals hold it. */
static void intervals_hold_the_median(void **state) {
    (void)state;
    enum { TRIALS = 4000, SIZE = 40 };
    struct random_sequence random = random_sequence(8, RANDOM_SEARCH, 0, 0);
    int held = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double numbers[SIZE];
        for (int i = 0; i < SIZE; i++)
            numbers[i] = -log(1 - random_uniform(&random));
        median_sort(numbers, SIZE);
        struct median median = median_of(numbers, SIZE);
        held += median.low <= log(2) && log(2) <= median.high;
    }
    /* 95 % to 97.4 % by the ranks; five deviations of the count */
    assert_true(held > TRIALS * (0.95 - 5 * 0.0035) && held < TRIALS * (0.974 + 5 * 0.0035));
}

/* ------------------------------------------------------------------ the stopwatch */

/* Tells made-up times. */
struct clock {
    double (*time)(int run);
    int runs, fail_at;
};

static enum status tell(void *context, double *seconds) {
    struct clock *clock = context;
    if (clock->runs == clock->fail_at)
        return (fail)(STATUS_FAILED, "the device is gone");
    *seconds = clock->time(clock->runs++);
    return STATUS_OK;
}

static struct stopwatch_result measured(double (*time)(int run), double seconds) {
    const struct latency_config config = {.repetitions = 50, .interval = 0.02, .seconds = seconds};
    struct clock clock = {time, 0, -1};
    const struct stopwatch watch = {tell, &clock};
    struct stopwatch_result result;
    assert_int_equal(stopwatch_measure(&watch, &config, &result), STATUS_OK);
    return result;
}

static double even(int run) {
    return 1e-3 + 1e-6 * (run % 5);
}
static double cold(int run) {
    return 1e-3 * (1 + 20 * exp(-0.3 * run)) + 1e-6 * (run % 5);
}
static double disturbed(int run) {
    return run % 13 == 0 ? 9e-3 : even(run);
}
static double wild(int run) {
    return 1e-3 * (1 + run * 7919 % 1000 / 1000.0);
}
static double slowing(int run) { /* a clock that falls after 40 runs */
    return run < 40 ? even(run) : 1.3 * even(run);
}
static double slow(int run) {
    return 0.5 + 1e-3 * (run % 3);
}

static void quiet_series_end_at_once(void **state) {
    (void)state;
    struct stopwatch_result result = measured(even, 0.2);
    assert_true(result.series == 1 && result.narrow && result.steady && result.outliers == 0);
    assert_true(result.repetitions >= 50 && fabs(result.median.value - 1.002e-3) < 1e-9);
    /* at least a tenth of the time */
    assert_true(measured(even, 10).repetitions >= 990);
}

static void what_is_cold_is_left_out(void **state) {
    (void)state;
    struct stopwatch_result result = measured(cold, 1);
    assert_true(result.series == 1 && result.narrow && result.steady);
    assert_true(fabs(result.median.value - 1.002e-3) < 1e-5);
}

static void disturbances_are_counted(void **state) {
    (void)state;
    struct stopwatch_result result = measured(disturbed, 1);
    assert_true(result.narrow && result.steady && fabs(result.median.value - 1.002e-3) < 2e-6);
    assert_true(abs(result.outliers - result.repetitions / 13) <= 1);
}

static void wide_intervals_are_measured_again(void **state) {
    (void)state;
    struct stopwatch_result once = measured(wild, 0.05), longer = measured(wild, 30);
    assert_true(!once.narrow && once.repetitions >= 10);
    assert_true(longer.narrow && longer.series > 1 && longer.repetitions > once.repetitions);
    assert_true(longer.median.low < 1.5e-3 && 1.5e-3 < longer.median.high);
}

static void a_clock_that_changes_is_noticed(void **state) {
    (void)state;
    struct stopwatch_result result = measured(slowing, 1.2);
    assert_true(result.series == 2 && result.steady); /* the second was all on the slower clock */
    assert_true(fabs(result.median.value - 1.3 * 1.002e-3) < 1e-8);
    result = measured(slowing, 0.06); /* no time for another one */
    assert_true(!result.steady && result.drift > 0.25);
}

static void slow_networks_get_few_runs(void **state) {
    (void)state;
    struct stopwatch_result result = measured(slow, 1);
    assert_true(result.series == 1 && result.repetitions == 10);
}

static void failures_of_a_run_are_told(void **state) {
    (void)state;
    const struct latency_config config = {.repetitions = 50, .interval = 0.02, .seconds = 1};
    struct stopwatch_result result;
    for (int at = 0; at < 60; at += 20) {
        struct clock clock = {even, 0, at};
        const struct stopwatch watch = {tell, &clock};
        failure_clear();
        assert_int_equal(stopwatch_measure(&watch, &config, &result), STATUS_FAILED);
        assert_string_equal(failure(), "the device is gone");
    }
    failure_clear();
}

/* ------------------------------------------------------------------ the metric in a search */

static struct ops counting; /* the CPU's, with a count of passes and a pass that fails */
static int passes, lost_at;

static enum status count_pass(const struct normalise_pictures *op, const struct slice *slice) {
    if (lost_at > 0 && passes >= lost_at)
        return (fail)(STATUS_FAILED, "the device is lost");
    passes++;
    return ops_cpu()->normalise_pictures(op, slice);
}

static struct bench bench_in(const char *notebook, const char *search) {
    const struct latency_config config = {
        .batch_images = 2, .threads = 1, .repetitions = 10, .interval = 0.5, .seconds = 0.01};
    const struct pass_options options = {.epsilon = (real)1e-5, .deviation = {1, 1, 1, 1}};
    struct bench bench;
    counting = *ops_cpu();
    counting.normalise_pictures = count_pass;
    passes = lost_at = 0;
    assert_int_equal(bench_create(&bench, &counting, "", &config, &options), STATUS_OK);
    snprintf(bench.notebook, sizeof bench.notebook, "%s", notebook);
    snprintf(bench.search, sizeof bench.search, "%s", search);
    bench.notes = notebook[0] != '\0';
    return bench;
}

static void make_space(struct search_space *space, const struct network *network,
                       const struct bench *bench) {
    const struct metric_config latency = {.name = "latency"}, memory = {.name = "memory"};
    double initial;
    struct subnetwork largest = subnetwork_largest(network);
    *space = (struct search_space){.network = network,
                                   .metric_count = 2,
                                   .seed = 3,
                                   .config = {.strategy = "multi_layer",
                                              .samples = 3,
                                              .layers = 2,
                                              .reduction = 0.05,
                                              .decay = 0.98}};
    assert_int_equal(metric_create(&space->metrics[0], &latency, network, bench), STATUS_OK);
    assert_int_equal(metric_create(&space->metrics[1], &memory, network, bench), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(metric_value(space->metrics[i], &largest, &initial), STATUS_OK);
        assert_true(initial > 0);
        space->budgets[i] = (i ? 1.0 : 0.9) * initial;
    }
}

static void release_space(struct search_space *space) {
    metric_release(space->metrics[0]);
    metric_release(space->metrics[1]);
}

enum { MOST_SAMPLES = 400 };
static struct sample told[MOST_SAMPLES];

static int search_to_the_end(struct strategy *strategy) {
    int count, all = 0;
    struct sample *samples;
    for (;;) {
        enum status status = strategy->type->ask(strategy->state, &samples, &count);
        if (status != STATUS_OK)
            fail_msg("%s", failure());
        if (count == 0)
            return all;
        for (int i = 0; i < count; i++)
            samples[i].score = 1.0 / (1 + samples[i].number);
        assert_int_equal(strategy->type->tell(strategy->state, samples, count), STATUS_OK);
        assert_true(all + count <= MOST_SAMPLES);
        memcpy(told + all, samples, (size_t)count * sizeof *samples);
        all += count;
    }
}

static void searches_meet_milliseconds_and_measure_once(void **state) {
    (void)state;
    char warning[256];
    struct network network;
    struct search_space space;
    struct strategy strategy;
    struct sample best;
    network_tiny(&network, 16, 1, 4);
    test_folder("latency");
    struct bench bench = bench_in(test_path("latency.jsonl"), "one");
    make_space(&space, &network, &bench);
    assert_int_equal(strategy_create(&strategy, &space, warning), STATUS_OK);
    int count = search_to_the_end(&strategy), used;
    assert_true(strategy.type->best(strategy.state, &best));
    assert_true(best.metrics[0] <= space.budgets[0] && best.metrics[1] <= space.budgets[1]);
    assert_true(passes > 10 * count);
    double budget = space.budgets[0];
    strategy_release(&strategy);
    release_space(&space);

    /* Killed and begun anew: nothing is measured that is known, and the budget is the same. */
    bench = bench_in(bench.notebook, "one");
    make_space(&space, &network, &bench);
    assert_true(space.budgets[0] == budget);
    assert_int_equal(strategy_create(&strategy, &space, warning), STATUS_OK);
    assert_int_equal(strategy_replay(&strategy, &space, told, count, &used), STATUS_OK);
    assert_int_equal(used, count);
    for (int i = 0; i < count; i++) {
        double value;
        assert_int_equal(metric_value(space.metrics[0], &told[i].sub, &value), STATUS_OK);
        assert_true(value == told[i].metrics[0]);
    }
    assert_int_equal(search_to_the_end(&strategy), 0);
    assert_int_equal(passes, 0);
    strategy_release(&strategy);
    release_space(&space);
    network_release(&network);
}

static void notebooks_belong_to_a_search_and_a_device(void **state) {
    (void)state;
    struct network network;
    struct metric *metric;
    const struct metric_config latency = {.name = "latency"};
    double first, value;
    network_tiny(&network, 8, 1, 4);
    test_folder("notebook");
    struct subnetwork sub = subnetwork_smallest(&network);
    struct bench bench = bench_in(test_path("latency.jsonl"), "one");
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_OK);
    assert_int_equal(metric_value(metric, &sub, &first), STATUS_OK);
    metric_release(metric);

    snprintf(bench.device, sizeof bench.device, "another");
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_USAGE);
    assert_non_null(strstr(failure(), "latency.jsonl: this search was measured on"));
    failure_clear();

    bench = bench_in(bench.notebook, "two");
    bench.notes = false; /* a look alone leaves it as it is, and keeps what it measures to itself */
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_OK);
    assert_int_equal(metric_value(metric, &sub, &value), STATUS_OK);
    assert_true(passes > 0);
    metric_release(metric);
    assert_int_equal(test_files(), 1);
    bench = bench_in(bench.notebook, "one");
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_OK);
    assert_int_equal(metric_value(metric, &sub, &value), STATUS_OK);
    assert_true(passes == 0 && value == first);
    metric_release(metric);

    bench = bench_in(bench.notebook, "two");
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_OK);
    metric_release(metric);
    assert_int_equal(test_files(), 2); /* the other search's is set aside */
    network_release(&network);
}

static void lost_devices_and_small_budgets_are_told(void **state) {
    (void)state;
    char warning[256];
    struct network network;
    struct search_space space;
    struct strategy strategy;
    double value;
    network_tiny(&network, 8, 1, 4);
    struct subnetwork largest = subnetwork_largest(&network);
    struct bench bench = bench_in("", "");
    make_space(&space, &network, &bench);
    space.budgets[0] = 1e-9;
    assert_int_equal(strategy_create(&strategy, &space, warning), STATUS_USAGE);
    assert_non_null(strstr(failure(), "latency 1e-09 is below the smallest network"));
    failure_clear();
    release_space(&space);

    const struct metric_config latency = {.name = "latency"};
    struct metric *metric;
    bench = bench_in("", "");
    lost_at = 7;
    assert_int_equal(metric_create(&metric, &latency, &network, &bench), STATUS_OK);
    assert_int_equal(metric_value(metric, &largest, &value), STATUS_FAILED);
    assert_string_equal(failure(), "latency: the device is lost");
    failure_clear();
    metric_release(metric);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_networks_give_the_same_logits),
        cmocka_unit_test(intervals_are_those_of_coins),
        cmocka_unit_test(intervals_hold_the_median),
        cmocka_unit_test(quiet_series_end_at_once),
        cmocka_unit_test(what_is_cold_is_left_out),
        cmocka_unit_test(disturbances_are_counted),
        cmocka_unit_test(wide_intervals_are_measured_again),
        cmocka_unit_test(a_clock_that_changes_is_noticed),
        cmocka_unit_test(slow_networks_get_few_runs),
        cmocka_unit_test(failures_of_a_run_are_told),
        cmocka_unit_test(searches_meet_milliseconds_and_measure_once),
        cmocka_unit_test(notebooks_belong_to_a_search_and_a_device),
        cmocka_unit_test(lost_devices_and_small_budgets_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
