/* Latency tables: interpolation against formulas, files there and back, what is refused, a build
 * that is cut off and goes on, and a search under two budgets. No time itself is asserted. */
#include "metric/metric.h"
#include "metric/table_build.h"
#include "metric/table_check.h"
#include "metric/table_plan.h"
#include "network/draw.h"
#include "search/strategy.h"
#include "support/file.h"
#include "support_folder.h"
#include "support_tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ops counting; /* the CPU's, with a count of passes and a pass that fails */
static int passes, lost_at;

static enum status count_pass(const struct normalise_pictures *op, const struct slice *slice) {
    if (lost_at > 0 && passes >= lost_at)
        return (fail)(STATUS_FAILED, "the device is lost");
    passes++;
    return ops_cpu()->normalise_pictures(op, slice);
}

static struct bench make_bench(void) {
    const struct latency_config config = {
        .batch_images = 2, .threads = 1, .repetitions = 10, .interval = 0.5, .seconds = 0.01};
    const struct pass_options options = {.epsilon = (real)1e-5, .deviation = {1, 1, 1, 1}};
    struct bench bench;
    counting = *ops_cpu();
    counting.normalise_pictures = count_pass;
    passes = lost_at = 0;
    assert_int_equal(bench_create(&bench, &counting, "", &config, &options), STATUS_OK);
    return bench;
}

/* What a layer takes, linear in each number of channels: interpolation is exact. */
static double formula(const struct table_layer *layer) {
    const int *channels = layer->channels;
    return 0.5 + layer->kernel + layer->height +
           (1.0 + channels[AXIS_IN]) * (2.0 + channels[AXIS_EXPAND]) *
               (3.0 + channels[AXIS_FILTERS]);
}

static double formula_sum(const struct network *network, const struct subnetwork *sub) {
    struct table_layer layers[MAX_LAYERS + 1];
    double sum = 0;
    table_layers(network, sub, layers);
    for (int i = 0; i <= network->layer_count; i++)
        sum += formula(&layers[i]);
    return sum;
}

/* A table of all layers of the plan's networks, with the formula's times. */
static void make_table(struct latency_table *table, const struct network *network) {
    struct table_plan plan;
    struct table_layer layers[MAX_LAYERS + 1];
    assert_int_equal(table_plan_create(&plan, network, 1, 1000), STATUS_OK);
    *table = (struct latency_table){.batch_images = 2, .threads = 1};
    strcpy(table->device, "a \"device\"");
    table->layers = calloc((size_t)plan.shapes, sizeof *table->layers);
    for (int i = 0; i < plan.count; i++) {
        table_layers(network, &plan.subs[i], layers);
        for (int j = 0; j <= network->layer_count; j++) {
            bool there = false;
            for (int k = 0; k < table->count; k++)
                there |= table_layer_compare(&layers[j], &table->layers[k]) == 0;
            if (there)
                continue;
            assert_true(table->count < plan.shapes);
            table->layers[table->count] = layers[j];
            table->layers[table->count++].milliseconds = formula(&layers[j]);
        }
    }
    assert_int_equal(table->count, plan.shapes);
    assert_int_equal(latency_table_sort(table), STATUS_OK);
    table_plan_release(&plan);
}

static void plans_hold_every_shape_of_a_small_space(void **state) {
    (void)state;
    struct network network;
    struct latency_table table;
    struct random_sequence random = random_sequence(5, RANDOM_SEARCH, 0, 0);
    network_tiny(&network, 16, 1, 4);
    make_table(&table, &network);
    for (int i = 0; i < 200; i++) {
        struct subnetwork sub = subnetwork_draw(&network, &random);
        double sum;
        assert_int_equal(latency_table_sum(&table, &network, &sub, &sum), STATUS_OK);
        assert_true(fabs(sum - formula_sum(&network, &sub)) < 1e-9 * sum);
    }
    latency_table_release(&table);
    network_release(&network);
}

static void channels_between_are_interpolated(void **state) {
    (void)state;
    struct table_layer corners[8];
    struct table_layer wanted = {
        .kind = LAYER_BLOCK, .kernel = 3, .stride = 1, .height = 8, .width = 8};
    struct latency_table table = {.count = 8, .layers = corners};
    double found;
    for (int i = 0; i < 8; i++) {
        corners[i] = wanted;
        corners[i].channels[AXIS_IN] = i & 1 ? 32 : 8;
        corners[i].channels[AXIS_EXPAND] = i & 2 ? 96 : 16;
        corners[i].channels[AXIS_FILTERS] = i & 4 ? 24 : 10;
        corners[i].milliseconds = formula(&corners[i]);
    }
    assert_int_equal(latency_table_sort(&table), STATUS_OK);
    for (int in = 8; in <= 32; in += 6)
        for (int expand = 16; expand <= 96; expand += 20)
            for (int filters = 10; filters <= 24; filters += 7) {
                wanted.channels[AXIS_IN] = in;
                wanted.channels[AXIS_EXPAND] = expand;
                wanted.channels[AXIS_FILTERS] = filters;
                assert_true(latency_table_find(&table, &wanted, false, &found));
                assert_true(fabs(found / formula(&wanted) - 1) < 1e-12);
            }
    assert_false(latency_table_find(&table, &corners[0], true, &found)); /* a corner, left out */
    wanted.channels[AXIS_IN] = 33;
    assert_false(latency_table_find(&table, &wanted, false, &found)); /* beyond */
    wanted.channels[AXIS_IN] = 16;
    wanted.kernel = 5;
    assert_false(latency_table_find(&table, &wanted, false, &found)); /* another kind */
}

static void unknown_layers_are_named(void **state) {
    (void)state;
    struct network network, other;
    struct latency_table table;
    double sum;
    network_tiny(&network, 16, 1, 4);
    network_tiny(&other, 18, 1, 4);
    make_table(&table, &network);
    struct subnetwork sub = subnetwork_largest(&other);
    assert_int_equal(latency_table_sum(&table, &other, &sub, &sum), STATUS_USAGE);
    assert_non_null(strstr(failure(), "\"stem\", a convolution of 1 to 12 channels, kernel 3"));
    assert_non_null(strstr(failure(), "18x18 pixels"));
    failure_clear();
    latency_table_release(&table);
    network_release(&network);
    network_release(&other);
}

static void assert_same(const struct latency_table *a, const struct latency_table *b) {
    assert_string_equal(a->device, b->device);
    assert_int_equal(a->count, b->count);
    assert_true(a->batch_images == b->batch_images && a->threads == b->threads);
    for (int i = 0; i < a->count; i++) {
        assert_int_equal(table_layer_compare(&a->layers[i], &b->layers[i]), 0);
        assert_true(fabs(a->layers[i].milliseconds / b->layers[i].milliseconds - 1) < 1e-8);
    }
}

static void tables_come_back_from_json(void **state) {
    (void)state;
    struct network network;
    struct latency_table table, again;
    network_tiny(&network, 16, 1, 4);
    make_table(&table, &network);
    test_folder("table");
    const char *path = test_path("table.json");
    assert_int_equal(latency_table_write(&table, path), STATUS_OK);
    assert_int_equal(latency_table_read(&again, path), STATUS_OK);
    assert_same(&table, &again);
    latency_table_release(&table);
    latency_table_release(&again);
    network_release(&network);
}

static const char columns[] =
    "# device: phone\n# batch_images: 1\n# threads: 4\n"
    "layer,in,expand,filters,kernel,stride,height,width,activation,squeeze_excite,residual,bypass,"
    "milliseconds\n";

static void columns_are_read(void **state) {
    (void)state;
    char text[1024];
    struct latency_table table;
    test_folder("columns");
    snprintf(text, sizeof text, "%sblock, 8,16 ,24,5,2,14,12, relu6,1,0,3,0.25\r\n\n", columns);
    const char *path = test_write("table.csv", text, strlen(text));
    assert_int_equal(latency_table_read_csv(&table, path), STATUS_OK);
    const struct table_layer *layer = table.layers,
                             wanted = {LAYER_BLOCK, ACTIVATION_RELU6, 5,   2, 14, 12, 3, 1,
                                       0,           {8, 16, 24},      0.25};
    assert_string_equal(table.device, "phone");
    assert_true(table.count == 1 && table.threads == 4 && table.batch_images == 1);
    assert_int_equal(table_layer_compare(layer, &wanted), 0);
    assert_true(layer->milliseconds == 0.25);
    latency_table_release(&table);
}

#define LAYER(in, time)                                                                            \
    "{\"layer\":\"linear\",\"in\":" in                                                             \
    ",\"expand\":0,\"filters\":4,\"kernel\":1,\"stride\":1,\"height\":1,\"width\":1,\"bypass\":0," \
    "\"squeeze_excite\":false,\"residual\":false,\"activation\":\"none\",\"milliseconds\":" time   \
    "}"
#define TABLE(layers)                                                                              \
    "{\"format\":\"taper latency table 1\",\"device\":\"d\",\"batch_images\":1,\"threads\":1,"     \
    "\"layers\":[" layers "]}"

static void bad_tables_are_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line 1: not JSON"},
        {"[]", "format must be"},
        {TABLE(""), "layers must be a list of 1 to"},
        {TABLE(LAYER("8", "NaN")), "not JSON"},
        {TABLE(LAYER("8", "-1")), "layers[0]: milliseconds must be a number from 0"},
        {TABLE(LAYER("8", "1e30")), "layers[0]: milliseconds"},
        {TABLE(LAYER("8", "1") "," LAYER("0", "1")), "layers[1]: in must be a whole number from 1"},
        {TABLE(LAYER("8.5", "1")), "layers[0]: in must be"},
        {TABLE(LAYER("99999999999", "1")), "layers[0]: in must be"},
        {TABLE(LAYER("8", "1") "," LAYER("8", "2")), "a layer is there twice: linear of 8 to 4"},
        {TABLE("7"), "layers[0]: layer is missing"},
        {TABLE(LAYER("8", "1,\"more\":1")), "layers[0]: it has keys that no layer has"},
    };
    static const char *const lines[][2] = {
        {"block,8,16,24,5,2,14,12,relu6,1,0,3", "line 5: 12 columns, not 13"},
        {"block,8,16,24,5,2,14,12,relu6,1,0,3,nan", "line 5: milliseconds must be"},
        {"block,8,16,24,5,2,14,12,tanh,1,0,3,1", "line 5: activation is a word"},
        {"block,8,16,0,5,2,14,12,relu6,1,0,3,1", "line 5: filters and a kernel go together"},
        {"", "there are no layers"},
    };
    char text[1024];
    struct latency_table table;
    test_folder("bad");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = test_write("table", cases[i][0], strlen(cases[i][0]));
        failure_clear();
        assert_int_equal(latency_table_read(&table, path), STATUS_USAGE);
        if (strstr(failure(), cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], failure());
    }
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(text, sizeof text, "%s%s", columns, lines[i][0]);
        const char *path = test_write("table", text, strlen(text));
        failure_clear();
        assert_int_equal(latency_table_read_csv(&table, path), STATUS_USAGE);
        if (strstr(failure(), lines[i][1]) == NULL)
            fail_msg("%s: %s", lines[i][0], failure());
    }
    failure_clear();
}

static void builds_go_on_where_they_were_cut(void **state) {
    (void)state;
    struct network network;
    struct latency_table table, again;
    network_tiny(&network, 8, 1, 4);
    test_folder("build");
    struct bench bench = make_bench();
    struct table_building how = {
        .bench = &bench, .network = &network, .seed = 1, .most = 6, .path = test_path("t.json")};
    assert_int_equal(table_build(&how, &table), STATUS_OK);
    int whole = passes, cuts = 0;
    latency_table_release(&table);
    assert_int_equal(remove(how.path), 0);
    passes = 0;
    int wasted = 0;
    for (enum status status = STATUS_FAILED; status != STATUS_OK; cuts += status != STATUS_OK) {
        lost_at = passes + 70; /* two networks and a part of one */
        int before = passes;
        failure_clear();
        status = table_build(&how, &table);
        if (status != STATUS_OK)
            assert_string_equal(failure(), "latency of layers: the device is lost");
        assert_true(passes > before && cuts < 50);
        wasted += 35; /* at most the network that was cut is measured again */
    }
    assert_true(cuts > 1 && passes <= whole + wasted);
    failure_clear();
    assert_int_equal(latency_table_read(&again, how.path), STATUS_OK);
    assert_same(&table, &again);
    assert_string_equal(again.device, bench.device);
    assert_false(file_exists(test_path("t.json.part")));
    latency_table_release(&again);
    assert_int_equal(table_build(&how, &again), STATUS_USAGE); /* nothing earlier is lost */
    assert_non_null(strstr(failure(), "is there already"));
    failure_clear();
    latency_table_release(&table);
    network_release(&network);
}

static void measurements_of_another_device_are_not_gone_on_with(void **state) {
    (void)state;
    struct network network;
    struct latency_table table;
    network_tiny(&network, 8, 1, 4);
    test_folder("part");
    struct bench bench = make_bench();
    struct table_building how = {
        .bench = &bench, .network = &network, .seed = 1, .most = 6, .path = test_path("t.json")};
    lost_at = 70;
    assert_int_equal(table_build(&how, &table), STATUS_FAILED);
    failure_clear();
    lost_at = 0;
    strcpy(bench.device, "another");
    assert_int_equal(table_build(&how, &table), STATUS_USAGE);
    assert_non_null(strstr(failure(), "t.json.part: this was begun on another device"));
    failure_clear();
    network_release(&network);
}

static void tables_fit_a_device(void **state) {
    (void)state;
    struct bench bench = make_bench();
    struct latency_table table = {.batch_images = 2, .threads = 1};
    strcpy(table.device, bench.device);
    assert_int_equal(latency_table_fits(&table, &bench), STATUS_OK);
    strcpy(table.device, "phone");
    assert_int_equal(latency_table_fits(&table, &bench), STATUS_USAGE);
    failure_clear();
    failure_clear();
    strcpy(table.device, bench.device);
    table.threads = 4;
    assert_int_equal(latency_table_fits(&table, &bench), STATUS_USAGE);
    assert_non_null(strstr(failure(), "of 4 threads"));
    failure_clear();
    strcpy(table.device, "phone");
    bench.latency.other_device = true;
    assert_int_equal(latency_table_fits(&table, &bench), STATUS_OK);
    table.batch_images = 1;
    assert_int_equal(latency_table_fits(&table, &bench), STATUS_USAGE);
    failure_clear();
}

static void checks_are_summed_up(void **state) {
    (void)state;
    struct table_check check = {.count = 4};
    const double pairs[][2] = {{1.1, 1}, {1.8, 2}, {3.3, 3}, {3.2, 4}};
    for (int i = 0; i < 4; i++) {
        check.networks[i].table = pairs[i][0];
        check.networks[i].measured = pairs[i][1];
    }
    table_check_summarise(&check);
    assert_true(fabs(check.mean_error - 0.125) < 1e-12 && check.worst == 3);
    assert_true(fabs(check.worst_error - 0.2) < 1e-12);
    assert_true(fabs(check.tau - 4.0 / 6) < 1e-12); /* 5 pairs agree, 1 does not */
}

static void searches_meet_two_budgets(void **state) {
    (void)state;
    char warning[256];
    struct network network;
    struct latency_table table;
    struct strategy strategy;
    struct sample best, *samples;
    int count;
    network_tiny(&network, 16, 1, 4);
    make_table(&table, &network);
    test_folder("search");
    struct bench bench = make_bench();
    snprintf(table.device, sizeof table.device, "%s", bench.device);
    snprintf(bench.latency.table, sizeof bench.latency.table, "%s", test_path("table.json"));
    assert_int_equal(latency_table_write(&table, bench.latency.table), STATUS_OK);
    struct search_space space = {.network = &network,
                                 .metric_count = 2,
                                 .seed = 3,
                                 .config = {.strategy = "multi_layer",
                                            .samples = 3,
                                            .layers = 2,
                                            .reduction = 0.05,
                                            .decay = 0.98}};
    const struct metric_config configs[] = {{.name = "latency_table"}, {.name = "macs"}};
    struct subnetwork largest = subnetwork_largest(&network);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(metric_create(&space.metrics[i], &configs[i], &network, &bench),
                         STATUS_OK);
        assert_int_equal(metric_value(space.metrics[i], &largest, &space.budgets[i]), STATUS_OK);
        space.budgets[i] *= i ? 0.8 : 0.6;
    }
    assert_int_equal(strategy_create(&strategy, &space, warning), STATUS_OK);
    while (strategy.type->ask(strategy.state, &samples, &count) == STATUS_OK && count > 0) {
        for (int i = 0; i < count; i++)
            samples[i].score = 1.0 / (1 + samples[i].number);
        assert_int_equal(strategy.type->tell(strategy.state, samples, count), STATUS_OK);
    }
    assert_true(strategy.type->best(strategy.state, &best));
    assert_true(fabs(best.metrics[0] / formula_sum(&network, &best.sub) - 1) < 1e-6);
    assert_true(formula_sum(&network, &best.sub) <= space.budgets[0] * (1 + 1e-6));
    assert_true(network_cost(&network, &best.sub).macs <= space.budgets[1]);
    assert_int_equal(passes, 0);
    strategy_release(&strategy);
    metric_release(space.metrics[0]);
    metric_release(space.metrics[1]);
    latency_table_release(&table);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_hold_every_shape_of_a_small_space),
        cmocka_unit_test(channels_between_are_interpolated),
        cmocka_unit_test(unknown_layers_are_named),
        cmocka_unit_test(tables_come_back_from_json),
        cmocka_unit_test(columns_are_read),
        cmocka_unit_test(bad_tables_are_refused),
        cmocka_unit_test(builds_go_on_where_they_were_cut),
        cmocka_unit_test(measurements_of_another_device_are_not_gone_on_with),
        cmocka_unit_test(tables_fit_a_device),
        cmocka_unit_test(checks_are_summed_up),
        cmocka_unit_test(searches_meet_two_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
