/* Exports: timm's names, and files that tests/check_exports.py runs in other frameworks.
 *
 * The names are compared with the list of timm's own tensors of MobileNetV3-Large
 * (tests/timm_mobilenetv3_large_100.txt, which `check_exports.py --timm` compares with timm). For
 * networks with one of everything, and many of their sub-networks, the folder files-of-exports of
 * the build gets NAME.safetensors, NAME.py, NAME.folded.onnx, NAME.kept.onnx and
 * NAME.answers.safetensors with pictures and the logits that the pass gives for them. */
#include "config/config.h"
#include "export/export.h"
#include "export/names.h"
#include "support/file.h"
#include "support/memory.h"
#include "support/random.h"
#include "support_folder.h"
#include "support_network.h"
#include "support_pass.h"
#include "training/evaluation.h"
#include "training/weights_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double epsilon = 1e-3; /* not the usual one: a writer that forgets it shows */
static const double mean[4] = {0.5, 0.4, 0.45, 0}, deviation[4] = {0.25, 0.3, 0.2, 1};

/* A stand-alone network with weights, and the statistics of its pictures. */
struct exhibit {
    char name[32];
    struct network network;
    struct parameters parameters, statistics;
    real *weights, *running, *logits;
    struct pictures pictures;
};

static void draw_pictures(struct exhibit *exhibit, int count) {
    const struct network *network = &exhibit->network;
    size_t size = (size_t)count * network->height * network->width * network->channels;
    struct random_sequence random = random_sequence(11, RANDOM_AUGMENT, 0, 0);
    exhibit->pictures = (struct pictures){.count = count,
                                          .height = network->height,
                                          .width = network->width,
                                          .channels = network->channels,
                                          .classes = network->classes,
                                          .pixels = malloc(size),
                                          .labels = calloc((size_t)count, sizeof(uint16_t))};
    for (size_t i = 0; i < size; i++)
        exhibit->pictures.pixels[i] = (uint8_t)random_below(&random, 256);
}

/* Statistics of the batch itself, so that values stay near 1 however deep the network is. */
static void answer(struct exhibit *exhibit) {
    struct pass_options options = {.images = exhibit->pictures.count, .epsilon = (real)epsilon};
    for (int c = 0; c < 4; c++) {
        options.mean[c] = (real)mean[c];
        options.deviation[c] = (real)deviation[c];
    }
    struct evaluator *evaluator;
    struct pool *pool;
    struct subnetwork whole = subnetwork_largest(&exhibit->network);
    struct image_set images = {.pictures = &exhibit->pictures, .count = exhibit->pictures.count};
    assert_int_equal(pool_create(&pool, 1), STATUS_OK);
    assert_int_equal(evaluator_create(&evaluator, &exhibit->network, ops_cpu(), pool, &options),
                     STATUS_OK);
    assert_int_equal(evaluator_weights(evaluator, exhibit->weights), STATUS_OK);
    assert_int_equal(evaluator_calibrate(evaluator, &whole, &images, exhibit->running), STATUS_OK);
    assert_int_equal(evaluator_logits(evaluator, &whole, exhibit->running, exhibit->pictures.pixels,
                                      exhibit->pictures.count, exhibit->logits),
                     STATUS_OK);
    evaluator_release(evaluator);
    pool_release(pool);
}

/* Takes the network over. */
static void exhibit_make(struct exhibit *exhibit, const char *name, struct network network,
                         int pictures) {
    *exhibit = (struct exhibit){.network = network};
    snprintf(exhibit->name, sizeof exhibit->name, "%s", name);
    assert_int_equal(parameters_of(&exhibit->parameters, &network), STATUS_OK);
    assert_int_equal(statistics_of(&exhibit->statistics, &network), STATUS_OK);
    names_timm(&network, &exhibit->parameters);
    names_timm(&network, &exhibit->statistics);
    exhibit->weights = calloc(exhibit->parameters.size + READ_SLACK, sizeof(real));
    real *values = pass_random_parameters(&exhibit->parameters);
    memcpy(exhibit->weights, values, exhibit->parameters.size * sizeof(real));
    free(values);
    exhibit->running = calloc(exhibit->statistics.size + READ_SLACK, sizeof(real));
    exhibit->logits = calloc((size_t)pictures * network.classes + READ_SLACK, sizeof(real));
    draw_pictures(exhibit, pictures);
    answer(exhibit);
}

static void exhibit_release(struct exhibit *exhibit) {
    parameters_release(&exhibit->parameters);
    parameters_release(&exhibit->statistics);
    network_release(&exhibit->network);
    pictures_release(&exhibit->pictures);
    free(exhibit->weights);
    free(exhibit->running);
    free(exhibit->logits);
}

static struct exported exported_of(const struct exhibit *exhibit) {
    return (struct exported){.name = exhibit->name,
                             .network = &exhibit->network,
                             .parameters = &exhibit->parameters,
                             .statistics = &exhibit->statistics,
                             .weights = exhibit->weights,
                             .statistic_values = exhibit->running,
                             .epsilon = epsilon,
                             .mean = mean,
                             .deviation = deviation};
}

static const char *file_of(const struct exhibit *exhibit, const char *ending) {
    char file[64];
    snprintf(file, sizeof file, "%s.%s", exhibit->name, ending);
    return test_path(file);
}

static void write_answers(const struct exhibit *exhibit) {
    const struct pictures *pictures = &exhibit->pictures;
    const struct named_tensor tensors[] = {
        {"pictures",
         TENSOR_U8,
         4,
         {pictures->count, pictures->height, pictures->width, pictures->channels},
         pictures->pixels},
        {"logits", TENSOR_F32, 2, {pictures->count, pictures->classes}, exhibit->logits}};
    assert_int_equal(
        safetensors_write(file_of(exhibit, "answers.safetensors"), tensors, 2, NULL, 0), STATUS_OK);
}

static void write_files(const struct exhibit *exhibit) {
    struct exported exported = exported_of(exhibit);
    assert_int_equal(weights_write(file_of(exhibit, "safetensors"), &exhibit->parameters,
                                   exhibit->weights, &exhibit->statistics, exhibit->running, 1,
                                   NULL, 0),
                     STATUS_OK);
    assert_int_equal(pytorch_write(&exported, file_of(exhibit, "py")), STATUS_OK);
    write_answers(exhibit);
    if (!onnx_available())
        return;
    assert_int_equal(onnx_write(&exported, true, file_of(exhibit, "folded.onnx")), STATUS_OK);
    assert_int_equal(onnx_write(&exported, false, file_of(exhibit, "kept.onnx")), STATUS_OK);
}

static void write_subnetwork(const struct network *network, const char *name,
                             const struct subnetwork *sub) {
    struct exhibit exhibit;
    struct network alone;
    assert_int_equal(network_extract(&alone, network, sub), STATUS_OK);
    exhibit_make(&exhibit, name, alone, 5);
    write_files(&exhibit);
    exhibit_release(&exhibit);
}

/* What pass_network() has not: a bypass of means, one around a dense convolution, a block wider
 * than its output and one narrower, a convolution without norm between blocks, two hidden layers.
 */
static void rare_network(struct network *network) {
    network_begin(network, 11, 8, 3, 4);
    network_add(network,
                (struct layer){.name = "first",
                               .kind = LAYER_CONVOLUTION,
                               .norm = true,
                               .bypass = 8,
                               .activation = ACTIVATION_RELU},
                (struct dimensions){.width = OPTIONS(8, 2), .kernel = OPTIONS(3, 1)});
    network_add(network,
                (struct layer){.name = "halved",
                               .kind = LAYER_BLOCK,
                               .stride = 2,
                               .bypass = 6,
                               .bypass_kind = BYPASS_POOL,
                               .activation = ACTIVATION_RELU6},
                (struct dimensions){.width = OPTIONS(12, 3),
                                    .expand = OPTIONS(16, 9),
                                    .kernel = OPTIONS(5, 3),
                                    .may_be_absent = true});
    network_add(network,
                (struct layer){.name = "between",
                               .kind = LAYER_CONVOLUTION,
                               .bypass = 5,
                               .activation = ACTIVATION_HARD_SIGMOID},
                (struct dimensions){.width = OPTIONS(10, 4), .kernel = OPTIONS(1)});
    network_add(network,
                (struct layer){.name = "added",
                               .kind = LAYER_BLOCK,
                               .residual = true,
                               .bypass = 10,
                               .squeeze_excite = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){
                    .width = OPTIONS(12, 7, 2), .kernel = OPTIONS(3), .may_be_absent = true});
    network_add_pool(network);
    network_add(network,
                (struct layer){.name = "one", .kind = LAYER_LINEAR, .activation = ACTIVATION_RELU},
                (struct dimensions){.width = OPTIONS(9, 5)});
    network_add(network, (struct layer){.name = "two", .kind = LAYER_LINEAR},
                (struct dimensions){.width = OPTIONS(7)});
    network_add_classifier(network);
    assert_int_equal(network_check(network), STATUS_OK);
}

/* Without a convolution in front, and with a residual where a stage begins. */
static void stemless_network(struct network *network) {
    network_begin(network, 6, 6, 3, 3);
    network_add(network,
                (struct layer){.name = "only",
                               .kind = LAYER_BLOCK,
                               .residual = true,
                               .bypass = 3,
                               .activation = ACTIVATION_RELU},
                (struct dimensions){.width = OPTIONS(4, 2, 1),
                                    .expand = OPTIONS(9, 4),
                                    .kernel = OPTIONS(3),
                                    .may_be_absent = true});
    network_add_pool(network);
    network_add_classifier(network);
    assert_int_equal(network_check(network), STATUS_OK);
}

enum { DRAWN = 8 };

static void many_networks_are_written(void **state) {
    (void)state;
    void (*const make[])(struct network *) = {pass_network, rare_network, stemless_network};
    const char *const names[] = {"pass", "rare", "stemless"};
    for (int i = 0; i < 3; i++) {
        struct network network;
        make[i](&network);
        for (int n = 0; n < DRAWN; n++) {
            char name[32];
            struct subnetwork sub = n == 0   ? subnetwork_largest(&network)
                                    : n == 1 ? subnetwork_smallest(&network)
                                             : pass_draw(&network, (uint32_t)n);
            snprintf(name, sizeof name, "%s%d", names[i], n);
            write_subnetwork(&network, name, &sub);
        }
        network_release(&network);
    }
}

static void read_mobilenet(struct network *network) {
    const char *path = TAPER_SOURCE_DIR "/benchmarks/mobilenet-v3.yaml";
    assert_int_equal(network_read(network, path), STATUS_OK);
}

static void mobilenet_is_written(void **state) {
    (void)state;
    struct exhibit exhibit;
    struct network network, alone;
    read_mobilenet(&network);
    struct subnetwork largest = subnetwork_largest(&network);
    assert_int_equal(network_extract(&alone, &network, &largest), STATUS_OK);
    exhibit_make(&exhibit, "mobilenet", alone, 4);
    write_files(&exhibit);
    exhibit_release(&exhibit);
    network_release(&network);
}

/* "NAME SIZE..." as a line of timm's list. */
static void line_of(const struct named_tensor *tensor, char line[128]) {
    int used = snprintf(line, 128, "%s", tensor->name);
    for (int d = 0; d < tensor->rank; d++)
        used += snprintf(line + used, 128 - (size_t)used, " %d", (int)tensor->shape[d]);
}

/* Every line of the list is a tensor of the file that mobilenet_is_written() left, and there are no
 * others. */
static void mobilenet_has_timms_names(void **state) {
    (void)state;
    struct safetensors file;
    FILE *list = fopen(TAPER_SOURCE_DIR "/tests/timm_mobilenetv3_large_100.txt", "r");
    char wanted[128], line[128];
    int count = 0;
    assert_non_null(list);
    assert_int_equal(safetensors_read(&file, test_path("mobilenet.safetensors")), STATUS_OK);
    for (; fgets(wanted, sizeof wanted, list) != NULL; count++) {
        wanted[strcspn(wanted, "\n")] = '\0';
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(wanted, " "), wanted);
        const struct named_tensor *tensor = safetensors_find(&file, name);
        if (tensor == NULL)
            fail_msg("timm's tensor %s is missing", name);
        line_of(tensor, line);
        assert_string_equal(line, wanted);
    }
    assert_int_equal(count, file.count);
    assert_int_equal(count, 312);
    fclose(list);
    safetensors_release(&file);
}

/* Blocks that vanish leave their number free. */
static void names_do_not_depend_on_the_subnetwork(void **state) {
    (void)state;
    struct network network, alone;
    struct parameters all, some;
    pass_network(&network);
    assert_int_equal(parameters_of(&all, &network), STATUS_OK);
    names_timm(&network, &all);
    char name[LAYER_NAME];
    const char *const layers[] = {"conv_stem",  "blocks.0.0", "blocks.1.0", "blocks.1.1",
                                  "blocks.2.0", "",           "conv_head",  "classifier"};
    for (int i = 0; i < network.layer_count; i++)
        assert_string_equal(names_layer(&network, i, name), layers[i]);
    struct subnetwork smallest = subnetwork_smallest(&network);
    assert_int_equal(network_extract(&alone, &network, &smallest), STATUS_OK);
    assert_int_equal(parameters_of(&some, &alone), STATUS_OK);
    names_timm(&alone, &some);
    assert_true(some.count < all.count); /* the first block is absent */
    for (int i = 0; i < some.count; i++) {
        const struct parameter *same =
            parameters_find(&all, some.list[i].layer, some.list[i].part, some.list[i].role);
        assert_string_equal(some.list[i].name, same->name);
    }
    parameters_release(&all);
    parameters_release(&some);
    network_release(&network);
    network_release(&alone);
}

/* What is written is read back, and a tensor of another shape is named. */
static void weights_are_read_back(void **state) {
    (void)state;
    struct exhibit exhibit;
    struct network network, alone;
    pass_network(&network);
    struct subnetwork largest = subnetwork_largest(&network);
    assert_int_equal(network_extract(&alone, &network, &largest), STATUS_OK);
    exhibit_make(&exhibit, "again", alone, 1);
    write_files(&exhibit);
    real *weights = calloc(exhibit.parameters.size, sizeof *weights);
    real *running = calloc(exhibit.statistics.size, sizeof *running);
    assert_int_equal(weights_read(file_of(&exhibit, "safetensors"), &exhibit.parameters, weights,
                                  &exhibit.statistics, running),
                     STATUS_OK);
    assert_memory_equal(weights, exhibit.weights, exhibit.parameters.size * sizeof *weights);
    assert_memory_equal(running, exhibit.running, exhibit.statistics.size * sizeof *running);
    exhibit.parameters.list[0].shape[0]++;
    assert_int_equal(weights_read(file_of(&exhibit, "safetensors"), &exhibit.parameters, weights,
                                  &exhibit.statistics, running),
                     STATUS_USAGE);
    assert_non_null(
        strstr(failure(), "tensor conv_stem.weight is F32 [9, 2, 3, 3], but F32 [10, "));
    failure_clear();
    free(weights);
    free(running);
    exhibit_release(&exhibit);
    network_release(&network);
}

/* No memory at any point: a sentence, and no file. */
static void exports_survive_without_memory(void **state) {
    (void)state;
    struct exhibit exhibit;
    struct network network;
    rare_network(&network);
    exhibit_make(&exhibit, "nothing", network, 1);
    struct exported exported = exported_of(&exhibit);
    const char *path = file_of(&exhibit, "onnx");
    for (long n = 1; onnx_available(); n++) {
        allocate_fail_at(n);
        enum status status = onnx_write(&exported, true, path);
        allocate_fail_at(0);
        if (status == STATUS_OK)
            break;
        assert_non_null(strstr(failure(), "memory"));
        assert_false(file_exists(path));
        failure_clear();
        assert_true(n < 20);
    }
    unlink(path);
    exhibit_release(&exhibit);
}

static int make_folder(void **state) {
    (void)state;
    test_folder("exports");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_networks_are_written),
        cmocka_unit_test(mobilenet_is_written),
        cmocka_unit_test(mobilenet_has_timms_names),
        cmocka_unit_test(names_do_not_depend_on_the_subnetwork),
        cmocka_unit_test(weights_are_read_back),
        cmocka_unit_test(exports_survive_without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
