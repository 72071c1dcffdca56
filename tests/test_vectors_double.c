/* One ordered-dropout step with shared batch-norm statistics against PyTorch: make_vectors.py,
 * which describes the same network and groups, wrote what is expected. */
#include "supernet/pass.h"
#include "support/safetensors.h"
#include "support_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEIGHT = 9, WIDTH = 7, CHANNELS = 2, CLASSES = 5, GROUPS = 4, IMAGES = 8 };

static const char path[] = TAPER_SOURCE_DIR "/tests/vectors/shared_norm.safetensors";

static void build_network(struct network *network) {
    network_begin(network, HEIGHT, WIDTH, CHANNELS, CLASSES);
    network_add(network,
                (struct layer){.name = "stem",
                               .kind = LAYER_CONVOLUTION,
                               .norm = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){.width = OPTIONS(9, 7), .kernel = OPTIONS(3)});
    network_add(network,
                (struct layer){.name = "mix",
                               .kind = LAYER_BLOCK,
                               .residual = true,
                               .bypass = 9,
                               .squeeze_excite = true,
                               .activation = ACTIVATION_HARD_SWISH},
                (struct dimensions){.width = OPTIONS(9, 8, 3),
                                    .expand = OPTIONS(40, 23),
                                    .kernel = OPTIONS(5, 3),
                                    .may_be_absent = true});
    network_add(network,
                (struct layer){.name = "down",
                               .kind = LAYER_BLOCK,
                               .stride = 2,
                               .bypass = 6,
                               .bypass_kind = BYPASS_POOL,
                               .activation = ACTIVATION_RELU6},
                (struct dimensions){
                    .width = OPTIONS(17, 8, 3), .expand = OPTIONS(23, 16), .kernel = OPTIONS(3)});
    network_add_pool(network);
    network_add_classifier(network);
    assert_int_equal(network_check(network), STATUS_OK);
}

struct setting {
    const char *choice;
    int value;
};

/* The groups of make_vectors.py; what is not named is at its largest. */
static const struct setting settings[GROUPS][6] = {
    {{NULL, 0}},
    {{"stem.width", 7},
     {"mix.width", 3},
     {"mix.expand", 23},
     {"mix.kernel", 3},
     {"down.width", 8},
     {"down.expand", 16}},
    {{"mix.present", 0}, {"down.width", 8}},
    {{"mix.width", 8}, {"mix.expand", 23}, {"down.width", 3}, {"down.expand", 16}}};

static void set_choice(const struct network *network, struct subnetwork *sub,
                       const struct setting *setting) {
    for (int i = 0; i < network->choice_count; i++) {
        const struct choice *choice = &network->choices[i];
        for (int option = 0; option < choice->count; option++) {
            if (strcmp(choice->name, setting->choice) == 0 &&
                choice->options[option] == setting->value) {
                sub->option[i] = (short)option;
                return;
            }
        }
    }
    fail_msg("there is no %s = %d", setting->choice, setting->value);
}

static struct subnetwork subnetwork_of_group(const struct network *network, int group) {
    struct subnetwork sub = subnetwork_largest(network);
    for (int i = 0; i < 6 && settings[group][i].choice; i++)
        set_choice(network, &sub, &settings[group][i]);
    return sub;
}

static const struct named_tensor *find(const struct safetensors *file, const char *name) {
    const struct named_tensor *tensor = safetensors_find(file, name);
    if (tensor == NULL)
        fail_msg("%s has no %s", path, name);
    return tensor;
}

static real *load_parameters(const struct safetensors *file, const struct parameters *parameters) {
    real *values = calloc(parameters->size, sizeof *values);
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        const struct named_tensor *tensor = find(file, parameter->name);
        for (int d = 0; d < parameter->rank; d++)
            assert_int_equal(tensor->shape[d], parameter->shape[d]);
        for (size_t e = 0; e < parameter->count; e++)
            values[parameter->offset + e] = ((const float *)tensor->data)[e];
    }
    return values;
}

static struct pass *make_pass(const struct network *network) {
    struct pass_options options = {.images = IMAGES,
                                   .groups = GROUPS,
                                   .backward = true,
                                   .shared_norm = true,
                                   .epsilon = 1e-5,
                                   .mean = {0.5, 0.5},
                                   .deviation = {0.25, 0.25}};
    struct pass *pass = NULL;
    assert_int_equal(pass_create(&pass, network, ops_cpu(), NULL, &options), STATUS_OK);
    struct subnetwork subs[GROUPS];
    struct batch_group groups[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        subs[g] = subnetwork_of_group(network, g);
        groups[g] = (struct batch_group){.sub = &subs[g], .images = IMAGES / GROUPS};
    }
    assert_int_equal(pass_set_groups(pass, groups, GROUPS), STATUS_OK);
    return pass;
}

/* Both compute in double from the same float32 numbers; what differs is the order of sums, through
 * about 20 layers. A wrong term is larger by many orders. */
static void assert_close(const char *name, const double *got, const double *expected,
                         size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += (got[i] - expected[i]) * (got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    if (!(sqrt(error) <= 1e-12 * sqrt(size)))
        fail_msg("%s is off by %g of %g", name, sqrt(error), sqrt(size));
}

static void check_results(const struct safetensors *file, const struct pass *pass,
                          const struct pass_result *result) {
    assert_close("loss per image", result->losses, find(file, "losses")->data, IMAGES);
    const double *logits = find(file, "logits")->data;
    real own[IMAGES][CLASSES];
    assert_int_equal(pass_logits(pass, IMAGES, *own), STATUS_OK);
    for (int i = 0; i < IMAGES; i++)
        assert_close("logits", own[i], logits + (size_t)i * CLASSES, CLASSES);
}

static void check_gradients(const struct safetensors *file, const struct parameters *parameters,
                            const real *gradient) {
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *parameter = &parameters->list[i];
        char name[sizeof parameter->name + sizeof "gradient."];
        snprintf(name, sizeof name, "gradient.%s", parameter->name);
        assert_close(name, gradient + parameter->offset, find(file, name)->data, parameter->count);
    }
}

static void test_shared_statistics(void **state) {
    (void)state;
    struct network network;
    struct safetensors file;
    build_network(&network);
    assert_int_equal(safetensors_read(&file, path), STATUS_OK);
    struct pass *pass = make_pass(&network);
    const struct parameters *parameters = pass_parameters(pass);
    real *values = load_parameters(&file, parameters);
    real *gradient = calloc(parameters->size, sizeof *gradient);
    int labels[IMAGES];
    real weights[IMAGES];
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = (int)((const int64_t *)find(&file, "labels")->data)[i];
        weights[i] = ((const float *)find(&file, "image_weights")->data)[i];
    }
    struct pass_batch batch = {.pictures = find(&file, "pictures")->data,
                               .labels = labels,
                               .weights = weights,
                               .smoothing = 0.1};
    struct pass_result result;
    assert_int_equal(pass_set_parameters(pass, values), STATUS_OK);
    assert_int_equal(pass_forward_backward(pass, &batch, gradient, &result), STATUS_OK);
    check_results(&file, pass, &result);
    check_gradients(&file, parameters, gradient);
    free(values);
    free(gradient);
    pass_release(pass);
    safetensors_release(&file);
    network_release(&network);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_statistics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
