#include "config/config.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIGS TAPER_SOURCE_DIR "/configs/"

/* Lines 1 to 6; the layers follow from line 7 on. */
static const char head[] = "data: {folder: /somewhere}\n"
                           "search: {budgets: [{metric: macs, share: 0.5}]}\n"
                           "network:\n"
                           "  input: {height: 28, width: 28, channels: 1}\n"
                           "  classes: 10\n"
                           "  layers:\n";
static const char stem[] =
    "    - {name: stem, type: convolution, width: [16, 8], kernel: 3, activation: relu}\n";
static const char tail[] = "    - {name: pool, type: pool}\n"
                           "    - {name: classifier, type: linear, width: 10}\n";

static char path[256];

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/test_config.%d.yaml", TAPER_BINARY_DIR, (int)getpid());
    return 0;
}

static int remove_path(void **state) {
    (void)state;
    return remove(path);
}

static void write_file(const char *const *parts, int count) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < count; i++)
        fputs(parts[i], file);
    fclose(file);
}

static char *read_whole(const char *name) {
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void assert_failure(enum status status, const char *first, const char *second) {
    char got[1024];
    snprintf(got, sizeof got, "%s", failure());
    failure_clear(); /* also when an assertion leaves this function: the next test starts clean */
    assert_int_equal(status, STATUS_USAGE);
    if (strstr(got, first) == NULL || strstr(got, second) == NULL)
        fail_msg("got '%s', not '%s' and '%s'", got, first, second);
}

static struct config good(const char *file, const char *const *settings, int count) {
    struct config config;
    enum status status = config_read(&config, file, settings, count);
    if (status != STATUS_OK)
        fail_msg("%s", failure());
    return config;
}

static void shipped_files_are_right(void **state) {
    (void)state;
    struct config config = good(CONFIGS "fashion-mnist.yaml", NULL, 0);
    struct subnetwork largest = subnetwork_largest(&config.network);
    struct cost cost = network_cost(&config.network, &largest);
    /* net S with 7x7 kernels everywhere, on 28x28 of one channel */
    assert_true(cost.macs == 7796176 && cost.parameters == 63850);
    assert_string_equal(config.out, "runs/fashion-mnist");
    assert_int_equal(config.data.holdout_images, 5000);
    assert_true(config.data.mean[0] == 0.2860 && config.data.deviation[0] == 0.3530);
    assert_true(config.train.training.label_smoothing == 0.1);
    assert_int_equal(config.data.class_name_count, 10);
    assert_string_equal(config.data.class_names[0], "T-shirt/top");
    assert_string_equal(config.data.class_names[9], "Ankle boot");
    assert_true(config.supernet.training.nesterov);
    assert_int_equal(config.search.budget_count, 1);
    assert_string_equal(config.search.budgets[0].metric.name, "macs");
    assert_true(config.search.budgets[0].share == 0.5);
    config_release(&config);

    config = good(CONFIGS "smoke.yaml", NULL, 0);
    assert_int_equal(config.data.train_images, 2000);
    assert_int_equal(config.data.class_name_count, 0);
    config_release(&config);

    config = good(CONFIGS "imagenet-mobilenet-v3.yaml", NULL, 0);
    largest = subnetwork_largest(&config.network);
    cost = network_cost(&config.network, &largest);
    assert_true(cost.parameters == 5483032);
    assert_true(cost.macs > 216.585e6 && cost.macs < 216.595e6);
    assert_true(config.data.mean[2] == 0.406);
    assert_int_equal(config.train.training.optimiser, OPTIMISER_RMSPROP);
    assert_int_equal(config.train.training.schedule, SCHEDULE_STEP);
    config_release(&config);
}

static void layers_mean_what_they_say(void **state) {
    (void)state;
    const char *parts[] = {
        head, stem,
        "    - {name: a, type: block, expand: {from: 48, to: 32, step: 8}, kernel: [7, 3], width: "
        "[16, 8], activation: relu6, may_be_absent: yes}\n"
        "    - {name: b, type: block, input: a, expand: {same_as: a}, kernel: {same_as: a}, width: "
        "24, stride: 2, activation: hard_swish, bypass: 8, squeeze_excite: on}\n"
        "    - {name: c, type: block, kernel: 5, width: 24, activation: none, residual: no}\n"
        "    - {name: d, type: block, expand: 8, kernel: 5, width: 40, activation: relu}\n"
        "    - {name: e, type: block, kernel: 5, width: 32, stride: 2, bypass_kind: pool, "
        "activation: relu}\n"
        "    - {name: f, type: convolution, kernel: 1, width: 32, norm: no, activation: relu}\n",
        tail};
    write_file(parts, 4);
    struct config config = good(path, NULL, 0);
    const struct network *network = &config.network;
    const struct layer *layers = network->layers;
    assert_int_equal(network->layer_count, 9);
    assert_true(layers[0].norm && layers[0].bypass == 0 && layers[0].stride == 1);
    const struct choice *expand = &network->choices[layers[1].expand];
    assert_string_equal(expand->name, "a.expand");
    assert_int_equal(expand->count, 3);
    assert_int_equal(expand->options[0], 48);
    assert_int_equal(expand->options[2], 32);
    assert_true(layers[1].residual && layers[1].bypass == 16 && layers[1].expansion);
    assert_int_equal(network->choices[layers[1].present].count, 2);
    assert_int_equal(layers[2].expand, layers[1].expand);
    assert_int_equal(layers[2].kernel, layers[1].kernel);
    assert_int_not_equal(layers[2].width, layers[1].width);
    assert_true(!layers[2].residual && layers[2].bypass == 8 && layers[2].squeeze_excite);
    assert_int_equal(layers[2].bypass_kind, BYPASS_POOL);
    assert_int_equal(layers[2].activation, ACTIVATION_HARD_SWISH);
    assert_int_equal(layers[2].present, -1);
    assert_true(!layers[3].expansion && !layers[3].residual && layers[3].bypass == 24);
    assert_true(!layers[4].residual && layers[4].bypass == 40);
    assert_true(layers[5].bypass == 32 && layers[5].bypass_kind == BYPASS_POOL);
    assert_false(layers[6].norm);
    assert_int_equal(layers[7].kind, LAYER_POOL);
    config_release(&config);
}

/* One bad layer on line 8, and what the sentence says. */
static void bad_layers_name_their_line(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"name: a, type: block, kernal: 3",
         "unknown key 'kernal'; the nearest valid one is 'kernel'"},
        {"name: a, type: blok", "type must be one of convolution, block, pool, linear, not 'blok'"},
        {"type: pool", "a layer needs a name and a type"},
        {"name: a, type: pool, kernel: 3", "layer 'a': a pool has no kernel"},
        {"name: a, type: convolution, kernel: 3, activation: relu", "layer 'a' needs a width"},
        {"name: a, type: block, kernel: 3, width: 8", "layer 'a' needs an activation"},
        {"name: a, type: block, kernel: [3, 5], width: 8, activation: relu",
         "the options of its kernel must fall (3, 5)"},
        {"name: a, type: block, kernel: 4, width: 8, activation: relu", "kernel 4 is even"},
        {"name: a, type: block, kernel: [], width: 8, activation: relu", "a.kernel has no options"},
        {"name: a, type: block, kernel: 3, width: 0, activation: relu",
         "a.width 0 is not within 1.."},
        {"name: a, type: block, kernel: 3, width: {from: 48, to: 20, step: 8}, activation: relu",
         "steps of 8 do not lead from 48 down to 20"},
        {"name: a, type: block, kernel: 3, width: {from: 48}, activation: relu",
         "a range is {from: 48, to: 16, step: 8}"},
        {"name: a, type: block, kernel: 3, width: {same_as: steem}, activation: relu",
         "no layer 'steem' before this one; the nearest name is 'stem'"},
        {"name: a, type: block, kernel: 3, expand: {same_as: stem}, width: 8, activation: relu",
         "layer 'stem' has no expand"},
        {"name: a, type: block, input: [stem, stem], kernel: 3, width: 8, activation: relu",
         "sums of layers are not supported yet"},
        {"name: a, type: block, input: stm, kernel: 3, width: 8, activation: relu",
         "the nearest name is 'stem'"},
        {"name: a, type: block, kernel: 3, width: 8, stride: 3, activation: relu",
         "stride 3 is not within 1..2"},
        {"name: a, type: block, kernel: 3, width: 8, stride: 2, activation: relu, "
         "may_be_absent: yes",
         "may be absent but has no bypass"},
        {"name: a, type: block, kernel: 3, width: 8, activation: relu, may_be_absent: yes, "
         "present: "
         "no",
         "present pins what may_be_absent leaves open"},
        {"name: a, type: block, kernel: 3, width: 8, activation: gelu",
         "activation must be one of"},
        {"name: stem, type: pool", "two layers are named 'stem'"},
        {"name: a, type: linear, width: 8", "must come after a pool"},
    };
    char place[300];
    snprintf(place, sizeof place, "%s:8: ", path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *parts[] = {head, stem, "    - {", cases[i][0], "}\n", tail};
        write_file(parts, 6);
        struct config config;
        assert_failure(config_read(&config, path, NULL, 0), place, cases[i][1]);
        assert_null(config.network.layers);
    }
}

/* What follows nine good lines, the line at fault, and what the sentence says. */
static void bad_files_name_their_line(void **state) {
    (void)state;
    static const struct {
        int line;
        const char *text, *sentence;
    } cases[] = {
        {9 + 1, "sede: 3\n", "unknown key 'sede'; the nearest valid one is 'seed'"},
        {9 + 2, "supernet:\n  epoch: 3\n",
         "unknown key 'epoch'; the nearest valid one is 'epochs'"},
        {9 + 1, "serch: {layers: 3}\n", "the nearest valid one is 'search'"},
        {9 + 1, "supernet: 3\n", "supernet is a section"},
        {9 + 1, "train: {epochs: many}\n", "train.epochs must be a number, not 'many'"},
        {9 + 1, "train: {epochs: 0x10}\n", "train.epochs must be a number"},
        {9 + 1, "train: {epochs: .inf}\n", "train.epochs must be a number"},
        {9 + 1, "train: {epochs: 1e999}\n", "train.epochs 1e999 is not within"},
        {9 + 1, "train: {epochs: [1]}\n", "train.epochs must be a number, not 'a list'"},
        {9 + 1, "train: {epochs: }\n", "train.epochs must be a number"},
        {9 + 1, "train: {ema: 1}\n", "train.ema 1 is not within 0..0.999999"},
        {9 + 1, "train: {inherit: maybe}\n", "train.inherit must be yes or no, not 'maybe'"},
        {9 + 1, "train: {optimiser: adam}\n", "must be one of sgd, rmsprop, not 'adam'"},
        {9 + 1, "train: {batch_images: 2.5}\n", "must be a whole number, not '2.5'"},
        {9 + 1, "threads: -1\n", "threads -1 is not within 0..256"},
        {9 + 1, "seed: -1\n", "seed must be a whole number from 0"},
        {9 + 1, "seed: 18446744073709551616\n", "seed must be a whole number from 0"},
        {9 + 1, "device: gpu\n", "device must be one of auto, cpu, cuda"},
        {9 + 2, "supernet:\n  {subnets_per_batch: 5}\n",
         "subnets_per_batch 5 does not divide supernet.batch_images 64"},
        {9 + 1, "supernet: {subnets_per_batch: 64}\n",
         "subnets_per_batch 64 leaves 1 image per group of supernet.batch_images 64"},
        {9 + 1, "train: {warmup_epochs: 11}\n",
         "train.warmup_epochs 11 is more than the 10 epochs"},
        {9 + 1, "train: {schedule: step, step_epochs: 0}\n", "train.step_epochs must be over 0"},
        {9 + 2, "seed: 3\nseed: 4\n", "key 'seed' was given already on line 10"},
        {9 + 1, "seed: &x 3\n", "anchors are not supported"},
        {9 + 1, "seed: *x\n", "aliases are not supported"},
        {9 + 1, "seed: !!int 3\n", "tags are not supported"},
        {9 + 1, "train: !t {}\n", "tags are not supported"},
        {9 + 1, "? [a, b]\n: 3\n", "a key must be a word"},
        {9 + 1, "out: \"a\\0b\"\n", "a zero byte in a text"},
        {9 + 1, "---\nseed: 3\n", "a second YAML document"},
        {9 + 1, "seed: @3\n", "this is not YAML"},
        {9 + 1, "seed: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[3]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
         "nested deeper than 32 levels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *parts[] = {head, stem, tail, cases[i].text};
        char place[300];
        write_file(parts, 4);
        snprintf(place, sizeof place, "%s:%d: ", path, cases[i].line);
        struct config config;
        assert_failure(config_read(&config, path, NULL, 0), place, cases[i].sentence);
    }
}

static void missing_files_and_keys_are_named(void **state) {
    (void)state;
    struct config config;
    static const char *const cases[][2] = {
        {"network: {}\n", "network needs an input"},
        {"data: {folder: a}\n", "network is missing"},
        {"", "a configuration is a map"},
        {"- 3\n", "a configuration is a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(&cases[i][0], 1);
        assert_failure(config_read(&config, path, NULL, 0), path, cases[i][1]);
    }
    const char *parts[] = {head + strlen("data: {folder: /somewhere}\n"), stem, tail};
    write_file(parts, 3);
    assert_failure(config_read(&config, path, NULL, 0), path, "data.folder is missing");
    assert_int_not_equal(config_read(&config, "/nowhere/at-all.yaml", NULL, 0), STATUS_OK);
    assert_non_null(strstr(failure(), "/nowhere/at-all.yaml"));
    failure_clear();
}

static void sizes_are_limited(void **state) {
    (void)state;
    struct config config;
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fprintf(file, "key%d: 1\n", i);
    fclose(file);
    assert_failure(config_read(&config, path, NULL, 0), path, "more than 4096 entries");
    file = fopen(path, "w");
    for (int i = 0; i < 1200; i++)
        fprintf(file, "# %01000d\n", i);
    fclose(file);
    assert_int_not_equal(config_read(&config, path, NULL, 0), STATUS_OK);
    assert_non_null(strstr(failure(), path));
    failure_clear();
    /* a network of 129 layers */
    file = fopen(path, "w");
    fputs(head, file);
    for (int i = 0; i < 129; i++)
        fprintf(file,
                "    - {name: l%d, type: convolution, width: 8, kernel: 1, activation: none}\n", i);
    fclose(file);
    assert_failure(config_read(&config, path, NULL, 0), path, "a list of at most 128 layers");
}

/* Refused at the depth or at the first byte that is none of YAML's, not after all of the text. */
static void depth_and_garbage_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *sentence;
    } cases[] = {{"[", "nested deeper than 32 levels"},
                 {"{a: ", "nested deeper than 32 levels"},
                 {"- ", "nested deeper than 32 levels"},
                 {"? ", "a key must be a word"},
                 {"\x80\xff", "this is not YAML"},
                 {"\"", "this is not YAML"},
                 {"%", "this is not YAML"},
                 {"&a ", "anchors are not supported"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        FILE *file = fopen(path, "w");
        fputs(cases[i].pattern[0] == '-' || cases[i].pattern[0] == '?' ? "" : "seed: ", file);
        for (int times = 0; times < 100000; times++)
            fputs(cases[i].pattern, file);
        fclose(file);
        assert_failure(config_read(&config, path, NULL, 0), path, cases[i].sentence);
    }
}

static void bad_budgets_are_named(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"3", "search.budgets is a list of 1 to 8 budgets"},
        {"[]", "search.budgets is a list of 1 to 8 budgets"},
        {"[macs]", "a budget is a map"},
        {"[{share: 0.5}]", "a budget needs a metric"},
        {"[{metric: macs}]", "either a share of the initial network or a value"},
        {"[{metric: macs, share: 0.5, value: 3}]", "either a share"},
        {"[{metric: macs, share: 1.5}]", "share 1.5 is not within"},
        {"[{metric: macs, value: 0}]", "value 0 is not within"},
        {"[{metric: macs, share: 0.5, deadline: 3}]", "only a metric with a command"},
        {"[{metrik: macs, share: 0.5}]", "the nearest valid one is 'metric'"},
        {"[{metric: macs, share: 0.5}, {metric: macs, value: 9}]", "'macs' has a budget already"},
    };
    const char *parts[] = {head, stem, tail};
    write_file(parts, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200], place[300];
        snprintf(text, sizeof text, "search.budgets=%s", cases[i][0]);
        snprintf(place, sizeof place, "--set %s: ", text);
        struct config config;
        assert_failure(config_read(&config, path, (const char *const[]){text}, 1), place,
                       cases[i][1]);
    }
}

static void settings_override_the_file(void **state) {
    (void)state;
    const char *parts[] = {head, stem, tail, "seed: 3\n"};
    write_file(parts, 4);
    const char *settings[] = {"seed=4",
                              "supernet.epochs=2.5",
                              "search.budgets.0.share=0.25",
                              "data.folder='/a b = c'",
                              "network.layers.0.width=[24, 8]",
                              "data.mean=[0.25]",
                              "out=here",
                              "seed=5"};
    struct config config = good(path, settings, 8);
    assert_int_equal(config.seed, 5);
    assert_true(config.supernet.training.epochs == 2.5);
    assert_true(config.search.budgets[0].share == 0.25);
    assert_string_equal(config.data.folder, "/a b = c");
    assert_int_equal(config.network.choices[config.network.layers[0].width].options[0], 24);
    assert_true(config.data.mean[0] == 0.25 && config.data.mean[3] == 0.25);
    assert_string_equal(config.out, "here");
    config_release(&config);

    static const char *const bad[][2] = {
        {"seed", "a setting is written KEY=VALUE"},
        {"sed=3", "unknown key 'sed'; the nearest valid one is 'seed'"},
        {"supernet.epocs=3", "the nearest valid one is 'epochs'"},
        {"seed.x=3", "there is no key 'x' here"},
        {".seed=3", "there is no key ''"},
        {"search.budgets.1.share=0.5", "'1' is not one of the entries 0..0 of a list"},
        {"supernet.epochs=[", "this is not YAML"},
        {"supernet.epochs=", "supernet.epochs must be a number"},
        {"supernet.batch_images=10", "subnets_per_batch 8 does not divide"},
        {"data.mean=[0.1, 0.2]", "data.mean has 2 numbers, but the pictures have 1 channels"},
        {"data.classes=[one, two]", "data.classes has 2 names, but network.classes is 10"},
        {"data.classes=[one, two, one]", "data.classes has the name 'one' twice"},
        {"data.classes=[one, '']", "a name of data.classes is empty"},
        {"data.classes=[]", "data.classes is an empty list of names"},
        {"data.classes=[[one]]", "data.classes must be a text, not a list"},
        {"data.classes=ten", "data.classes must be a whole number"},
        {"data.classes=65537", "is not within 0..65536"},
        {"network.classes=11", "must have width 11, the number of classes"},
        {"data.train_images=63", "supernet.batch_images 64 is more than data.train_images 63"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_failure(config_read(&config, path, &bad[i][0], 1),
                       i == 8 || i >= 17 ? path : "--set ", bad[i][1]);
}

/* Written and read again, everything is the same: the text, and every step's hash. */
static void writing_and_reading_agree(void **state) {
    (void)state;
    static const char *const files[] = {CONFIGS "fashion-mnist.yaml", CONFIGS "smoke.yaml",
                                        CONFIGS "imagenet-mobilenet-v3.yaml"};
    const char *settings[] = {
        "out=\"a \\\"quoted\\\" \\\\ folder \\x07 \\x80 \\N \\L \\P \\uFEFF \\uFFFF \\u00e4 "
        "\\U0001F600\"",
        "train.learning_rate=0.1234567890123",
        "search.budgets=[{metric: phone, command: './x.sh \"y\"', value: 12.5, deadline: 3}]",
        "network.layers.1.width={same_as: stem}",
        "network.layers.3.may_be_absent=no",
        "network.layers.3.bypass=0",
        "seed=18446744073709551615"};
    for (int i = 0; i < 3; i++)
        for (int count = 0; count <= 7; count += 7) {
            struct config config = good(files[i], settings, count);
            assert_int_equal(config_write(&config, path), STATUS_OK);
            char *first = read_whole(path);
            struct config again = good(path, NULL, 0);
            assert_string_equal(config.out, again.out);
            assert_true(config.seed == again.seed);
            assert_true(config.train.training.learning_rate == again.train.training.learning_rate);
            assert_int_equal(config.network.choice_count, again.network.choice_count);
            assert_memory_equal(config.network.layers, again.network.layers,
                                config.network.layer_count * sizeof *config.network.layers);
            assert_memory_equal(config.network.choices, again.network.choices,
                                config.network.choice_count * sizeof *config.network.choices);
            assert_memory_equal(&config.search, &again.search, sizeof config.search);
            assert_int_equal(config_write(&again, path), STATUS_OK);
            char *second = read_whole(path);
            assert_string_equal(first, second);
            free(first);
            free(second);
            config_release(&config);
            config_release(&again);
        }
}

/* Whichever allocation fails: a sentence, and nothing is leaked (the sanitizer looks). */
static void every_failed_allocation_is_survived(void **state) {
    (void)state;
    enum status status = STATUS_FAILED;
    for (long n = 1; status != STATUS_OK; n++) {
        struct config config;
        allocate_fail_at(n);
        status = config_read(&config, CONFIGS "smoke.yaml",
                             (const char *const[]){"supernet.epochs=3"}, 1);
        allocate_fail_at(0);
        assert_int_equal(status, failure()[0] == '\0' ? STATUS_OK : STATUS_FAILED);
        assert_true(n < 10000 && (n > 100 || status != STATUS_OK));
        failure_clear();
        config_release(&config);
    }
}

static void found_networks_survive_their_file(void **state) {
    (void)state;
    struct config config = good(CONFIGS "smoke.yaml", NULL, 0);
    struct network alone, again;
    struct subnetwork subs[2] = {subnetwork_smallest(&config.network)};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(network_extract(&alone, &config.network, &subs[i]), STATUS_OK);
        assert_int_equal(network_write(&alone, path, "found by a test\nsecond line"), STATUS_OK);
        assert_int_equal(network_read(&again, path), STATUS_OK);
        assert_int_equal(again.choice_count, alone.choice_count);
        assert_memory_equal(again.layers, alone.layers, alone.layer_count * sizeof *alone.layers);
        struct layer_shape shapes[MAX_LAYERS], kept[MAX_LAYERS];
        struct subnetwork only = {0};
        network_shapes(&config.network, &subs[i], shapes);
        network_shapes(&again, &only, kept);
        assert_memory_equal(shapes, kept, again.layer_count * sizeof shapes[0]);
        network_release(&again);
        network_release(&alone);
    }
    config_release(&config);
    const char *text = "network: 3\nseed: 3\n";
    write_file(&text, 1);
    assert_failure(network_read(&again, path), ":2: ", "unknown key 'seed'");
}

static void pictures_may_have_several_sizes(void **state) {
    (void)state;
    const char *settings[] = {
        "data.source=folder",
        "network.input={height: {from: 28, to: 20, step: 4}, width: [30, 22, 7], channels: 3}"};
    struct config config = good(CONFIGS "smoke.yaml", settings, 2), again;
    const struct network *network = &config.network;
    uint64_t hashes[2];
    assert_int_equal(network_resolutions(network), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(network_resolution(network, i).height, 28 - 4 * i);
        assert_int_equal(network_resolution(network, i).width, ((const int[]){30, 22, 7})[i]);
    }
    assert_string_equal(network->choices[RESOLUTION_CHOICE].name, "resolution");
    assert_int_equal(config_write(&config, path), STATUS_OK);
    again = good(path, NULL, 0);
    assert_int_equal(config_hash(&config, STEP_TRAIN, &hashes[0]), STATUS_OK);
    assert_int_equal(config_hash(&again, STEP_TRAIN, &hashes[1]), STATUS_OK);
    assert_true(hashes[0] == hashes[1]);
    config_release(&again);
    config_release(&config);

    static const char *const bad[][2] = {
        {"{height: [28, 20], width: 28, channels: 1}",
         "height (2) and width (1) must have one length"},
        {"{height: {from: 28, to: 12, step: 1}, width: {from: 28, to: 12, step: 1}, channels: 1}",
         "at most 16"},
        {"{height: [20, 28], width: [20, 28], channels: 1}",
         "the sizes of the pictures must fall (20x20, 28x28)"},
        {"{height: [28, 0], width: [28, 0], channels: 1}", "height 0 is not within 1.."},
        {"{height: [28, 20], width: [], channels: 1}", "width has no options"},
        {"{height: [28, 20], channels: 1}", "width is missing"},
        {"{height: [28, 20], width: [28, 20], channels: 1}", "data.source idx have one"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char setting[200];
        snprintf(setting, sizeof setting, "network.input=%s", bad[i][0]);
        const char *const list[] = {setting};
        assert_failure(config_read(&config, CONFIGS "smoke.yaml", list, 1), "network.input",
                       bad[i][1]);
    }
}

/* A setting and the first step whose hash it changes. */
static void hashes_change_with_their_keys(void **state) {
    (void)state;
    static const struct {
        const char *setting;
        int first;
    } cases[] = {
        {"out=elsewhere", STEP_TRAIN + 1},
        {"threads=2", STEP_TRAIN + 1},
        {"device=cpu", STEP_TRAIN + 1},
        {"supernet.save_seconds=9", STEP_TRAIN + 1},
        {"seed=9", STEP_SUPERNET},
        {"data.flip=no", STEP_SUPERNET},
        {"data.classes=10", STEP_SUPERNET},
        {"data.classes=[a, b, c, d, e, f, g, h, i, j]", STEP_TRAIN + 1},
        {"supernet.guard_window=9", STEP_SUPERNET},
        {"train.guard_rate=0.9", STEP_TRAIN},
        {"data.holdout_images=600", STEP_SUPERNET},
        {"network.layers.1.kernel=3", STEP_SUPERNET},
        {"network.layers.1.may_be_absent=no", STEP_SUPERNET},
        {"network.layers.1.residual=no", STEP_SUPERNET},
        {"network.layers.1.bypass=4", STEP_SUPERNET},
        {"supernet.epochs=2.5", STEP_SUPERNET},
        {"supernet.draw=uniform", STEP_SUPERNET},
        {"supernet.norm_epsilon=1e-3", STEP_SUPERNET},
        {"search.budgets.0.share=0.55", STEP_SEARCH},
        {"search.samples=5", STEP_SEARCH},
        {"search.strategy=random", STEP_SEARCH},
        {"latency.repetitions=50", STEP_SEARCH},
        {"train.epochs=2.5", STEP_TRAIN},
        {"train.ema=0.5", STEP_TRAIN},
        {"data.test_images=0", STEP_TRAIN},
    };
    struct config base = good(CONFIGS "smoke.yaml", NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config = good(CONFIGS "smoke.yaml", &cases[i].setting, 1);
        for (int step = STEP_SUPERNET; step <= STEP_TRAIN; step++) {
            uint64_t before, after;
            assert_int_equal(config_hash(&base, step, &before), STATUS_OK);
            assert_int_equal(config_hash(&config, step, &after), STATUS_OK);
            if ((before != after) != (step >= cases[i].first))
                fail_msg("%s: step %d", cases[i].setting, step);
        }
        config_release(&config);
    }
    config_release(&base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_files_are_right),
        cmocka_unit_test(layers_mean_what_they_say),
        cmocka_unit_test(bad_layers_name_their_line),
        cmocka_unit_test(bad_files_name_their_line),
        cmocka_unit_test(missing_files_and_keys_are_named),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(depth_and_garbage_are_refused),
        cmocka_unit_test(bad_budgets_are_named),
        cmocka_unit_test(settings_override_the_file),
        cmocka_unit_test(writing_and_reading_agree),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(found_networks_survive_their_file),
        cmocka_unit_test(pictures_may_have_several_sizes),
        cmocka_unit_test(hashes_change_with_their_keys),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
