#include "network/network.h"
#include "network/parameters.h"
#include "support_network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct layer stem = {
    .name = "stem", .kind = LAYER_CONVOLUTION, .activation = ACTIVATION_RELU, .norm = true};

/* Channel i of the output exists when filter i or the bypassed input channel i does: counted one by
 * one, straight from the definition. */
static int channels_by_definition(int c, int t, int m) {
    int z = 0;
    for (int i = 0; i < 64; i++)
        if (i < m || (i < c && i < t))
            z++;
    return z;
}

static void bypass_gives_z(void **state) {
    (void)state;
    for (int c = 1; c <= 9; c++)
        for (int t = 0; t <= 10; t++)
            for (int m = 0; m <= 10; m++) {
                struct network network;
                network_begin(&network, 8, 8, 3, 5);
                network_add(&network, stem,
                            (struct dimensions){.width = OPTIONS(c), .kernel = OPTIONS(3)});
                /* m = 0: the block is absent, which takes a bypass */
                if (m == 0 && t == 0) {
                    network_release(&network);
                    continue;
                }
                int block = network_add(
                    &network, (struct layer){.name = "block", .kind = LAYER_BLOCK, .bypass = t},
                    (struct dimensions){.width = OPTIONS(m ? m : 4),
                                        .expand = OPTIONS(7),
                                        .kernel = OPTIONS(3),
                                        .may_be_absent = m == 0});
                network_add_pool(&network);
                network_add_classifier(&network);
                assert_int_equal(network_check(&network), STATUS_OK);

                struct subnetwork sub = subnetwork_smallest(&network);
                struct layer_shape shapes[MAX_LAYERS];
                network_shapes(&network, &sub, shapes);
                int z = channels_by_definition(c, t, m);
                assert_int_equal(shapes[block].in, c);
                assert_int_equal(shapes[block].filters, m);
                assert_int_equal(shapes[block].out, z);
                assert_int_equal(shapes[block + 1].in, z);
                assert_int_equal(shapes[block].expand, m ? 7 : 0);
                network_release(&network);
            }
}

static void absent_block_costs_nothing(void **state) {
    (void)state;
    struct network with, without;
    struct network *both[] = {&with, &without};
    for (int i = 0; i < 2; i++) {
        network_begin(both[i], 9, 9, 3, 5);
        network_add(both[i], stem, (struct dimensions){.width = OPTIONS(24), .kernel = OPTIONS(3)});
        if (i == 0)
            network_add(both[i],
                        (struct layer){
                            .name = "block", .kind = LAYER_BLOCK, .bypass = 24, .residual = true},
                        (struct dimensions){.width = OPTIONS(24, 16, 8),
                                            .expand = OPTIONS(48, 24),
                                            .kernel = OPTIONS(5, 3),
                                            .may_be_absent = true});
        network_add_pool(both[i]);
        network_add_classifier(both[i]);
    }
    struct subnetwork smallest = subnetwork_smallest(&with);
    struct subnetwork largest = subnetwork_largest(&without);
    struct cost absent = network_cost(&with, &smallest), none = network_cost(&without, &largest);
    assert_true(absent.macs == none.macs && absent.parameters == none.parameters);

    struct network alone;
    struct parameters parameters, expected;
    assert_int_equal(network_extract(&alone, &with, &smallest), STATUS_OK);
    assert_int_equal(network_check(&alone), STATUS_OK);
    assert_int_equal(parameters_of(&parameters, &alone), STATUS_OK);
    assert_int_equal(parameters_of(&expected, &without), STATUS_OK);
    assert_int_equal(parameters.count, expected.count);
    assert_int_equal(parameters.size, expected.size);
    parameters_release(&parameters);
    parameters_release(&expected);
    network_release(&alone);
    network_release(&with);
    network_release(&without);
}

static void canonical_ignores_what_changes_nothing(void **state) {
    (void)state;
    struct network network;
    network_begin(&network, 8, 8, 3, 5);
    network_add(&network, stem, (struct dimensions){.width = OPTIONS(16), .kernel = OPTIONS(3)});
    const struct dimensions dimensions = {.width = OPTIONS(16, 8),
                                          .expand = OPTIONS(32, 16),
                                          .kernel = OPTIONS(5, 3),
                                          .may_be_absent = true};
    struct layer layer = {.name = "a", .kind = LAYER_BLOCK, .bypass = 16};
    int a = network_add(&network, layer, dimensions);
    strcpy(layer.name, "b");
    int b = network_add(&network, layer, dimensions);
    network.layers[b].expand = network.layers[a].expand; /* tied */

    const struct layer *layers = network.layers;
    struct subnetwork sub = {0};
    sub.option[layers[a].present] = 1;
    sub.option[layers[a].width] = 1;
    sub.option[layers[a].kernel] = 1;
    sub.option[layers[a].expand] = 1;
    struct subnetwork canonical = subnetwork_canonical(&network, sub);
    assert_int_equal(canonical.option[layers[a].present], 1);
    assert_int_equal(canonical.option[layers[a].width], 0);
    assert_int_equal(canonical.option[layers[a].kernel], 0);
    assert_int_equal(canonical.option[layers[a].expand], 1); /* b still uses it */
    assert_false(subnetwork_equal(&canonical, &sub));
    canonical = subnetwork_canonical(&network, canonical);
    sub.option[layers[b].present] = 1;
    canonical = subnetwork_canonical(&network, sub);
    assert_int_equal(canonical.option[layers[a].expand], 0);
    network_release(&network);
}

static void squeeze_width_is_make_divisible(void **state) {
    (void)state;
    for (int expand = 1; expand <= 2000; expand++) {
        double v = expand / 4.0;
        int width = (int)((v + 4) / 8) * 8;
        if (width < 8)
            width = 8;
        if (width < 0.9 * v)
            width += 8;
        assert_int_equal(squeeze_width(expand), width);
    }
    assert_int_equal(squeeze_width(72), 24);
    assert_int_equal(squeeze_width(672), 168);
}

static void mobilenet_v3_large(struct network *network) {
    const enum activation RELU = ACTIVATION_RELU, SWISH = ACTIVATION_HARD_SWISH;
    static const int rows[][6] = {
        /* kernel, expand, out, squeeze-excite, activation, stride */
        {3, 0, 16, 0, RELU, 1},     {3, 64, 24, 0, RELU, 2},    {3, 72, 24, 0, RELU, 1},
        {5, 72, 40, 1, RELU, 2},    {5, 120, 40, 1, RELU, 1},   {5, 120, 40, 1, RELU, 1},
        {3, 240, 80, 0, SWISH, 2},  {3, 200, 80, 0, SWISH, 1},  {3, 184, 80, 0, SWISH, 1},
        {3, 184, 80, 0, SWISH, 1},  {3, 480, 112, 1, SWISH, 1}, {3, 672, 112, 1, SWISH, 1},
        {5, 672, 160, 1, SWISH, 2}, {5, 960, 160, 1, SWISH, 1}, {5, 960, 160, 1, SWISH, 1}};
    network_begin(network, 224, 224, 3, 1000);
    struct layer convolution = {
        .name = "stem", .kind = LAYER_CONVOLUTION, .stride = 2, .activation = SWISH, .norm = true};
    network_add(network, convolution,
                (struct dimensions){.width = OPTIONS(16), .kernel = OPTIONS(3)});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int *row = rows[i];
        struct layer block = {
            .kind = LAYER_BLOCK, .squeeze_excite = row[3], .activation = row[4], .stride = row[5]};
        snprintf(block.name, sizeof block.name, "blocks.%zu", i);
        network_add(network, block,
                    (struct dimensions){.width = OPTIONS(row[2]),
                                        .expand = row[1] ? OPTIONS(row[1]) : NULL,
                                        .kernel = OPTIONS(row[0])});
    }
    convolution.stride = 1;
    strcpy(convolution.name, "head");
    network_add(network, convolution,
                (struct dimensions){.width = OPTIONS(960), .kernel = OPTIONS(1)});
    network_add_pool(network);
    network_add(network,
                (struct layer){.name = "hidden", .kind = LAYER_LINEAR, .activation = SWISH},
                (struct dimensions){.width = OPTIONS(1280)});
    network_add_classifier(network);
}

/* The cost and the list of parameters are two countings of the same thing. */
static void assert_counts(const struct network *network, double macs, double parameters) {
    struct subnetwork largest = subnetwork_largest(network);
    struct cost cost = network_cost(network, &largest);
    struct parameters list;
    assert_int_equal(parameters_of(&list, network), STATUS_OK);
    double listed = 0;
    for (int i = 0; i < list.count; i++) {
        listed += list.list[i].count;
        assert_int_equal(list.list[i].offset % 16, 0);
    }
    parameters_release(&list);
    assert_true(listed == cost.parameters);
    assert_true(cost.parameters == parameters);
    /* the figures are published with five and three digits */
    assert_true(cost.macs > macs * 0.9995 && cost.macs < macs * 1.0005);
}

static void known_networks_count_right(void **state) {
    (void)state;
    struct network network;
    mobilenet_v3_large(&network);
    assert_int_equal(network_check(&network), STATUS_OK);
    assert_counts(&network, 216.59e6, 5483032);
    network_release(&network);
    const int kernels[8] = {3, 3, 5, 3, 5, 3, 5, 3};
    network_s(&network, 32, 32, 3, kernels);
    assert_int_equal(network_check(&network), STATUS_OK);
    assert_counts(&network, 6.84e6, 44170);
    network_release(&network);
}

/* A network with everything in it: odd widths, squeeze-excite, every bypass, tied and absent. */
static void everything(struct network *network) {
    network_begin(network, 13, 11, 2, 7);
    network_add(network, stem,
                (struct dimensions){.width = OPTIONS(23, 9, 7), .kernel = OPTIONS(5, 3)});
    struct layer block = {.name = "a",
                          .kind = LAYER_BLOCK,
                          .activation = ACTIVATION_RELU6,
                          .residual = true,
                          .squeeze_excite = true,
                          .bypass = 23};
    network_add(network, block,
                (struct dimensions){.width = OPTIONS(23, 8, 1),
                                    .expand = OPTIONS(97, 40, 9),
                                    .kernel = OPTIONS(7, 5, 3),
                                    .may_be_absent = true});
    block = (struct layer){
        .name = "b", .kind = LAYER_BLOCK, .stride = 2, .bypass = 8, .bypass_kind = BYPASS_POOL};
    network_add(network, block,
                (struct dimensions){.width = OPTIONS(40, 1),
                                    .expand = OPTIONS(40, 7),
                                    .kernel = OPTIONS(5, 1),
                                    .may_be_absent = true});
    block = (struct layer){.name = "c", .kind = LAYER_BLOCK, .bypass = 9};
    network_add(network, block,
                (struct dimensions){.width = OPTIONS(40, 1), .kernel = OPTIONS(3, 1)});
    struct layer head = stem;
    strcpy(head.name, "head");
    head.norm = false;
    network_add(network, head, (struct dimensions){.width = OPTIONS(9, 5), .kernel = OPTIONS(1)});
    network->layers[4].width = network->layers[0].width; /* tied */
    network_add_pool(network);
    network_add_classifier(network);
    assert_int_equal(network_check(network), STATUS_OK);
}

static struct subnetwork any_subnetwork(const struct network *network, unsigned *dice) {
    struct subnetwork sub = {0};
    for (int i = 0; i < network->choice_count; i++)
        sub.option[i] = (short)(rand_r(dice) % network->choices[i].count);
    return subnetwork_canonical(network, sub);
}

static void strides_round_pixels_up(void **state) {
    (void)state;
    struct network network;
    everything(&network);
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork largest = subnetwork_largest(&network);
    network_shapes(&network, &largest, shapes);
    assert_int_equal(shapes[1].out_height, 13);
    assert_int_equal(shapes[2].in_width, 11);
    assert_int_equal(shapes[2].out_height, 7);
    assert_int_equal(shapes[2].out_width, 6);
    assert_int_equal(shapes[5].out_height, 1);
    network_release(&network);
}

/* Two ways to say that a block is absent extract the same network. */
static void extraction_forgets_choices_of_absent_blocks(void **state) {
    (void)state;
    struct network network, one, other;
    everything(&network);
    struct subnetwork sub = subnetwork_smallest(&network), same = sub;
    same.option[network.layers[1].kernel] = 1;
    assert_int_equal(network_extract(&one, &network, &sub), STATUS_OK);
    assert_int_equal(network_extract(&other, &network, &same), STATUS_OK);
    for (int i = 0; i < network.choice_count; i++)
        assert_int_equal(one.choices[i].options[0], other.choices[i].options[0]);
    network_release(&one);
    network_release(&other);
    network_release(&network);
}

static void extraction_keeps_shapes_and_cost(void **state) {
    (void)state;
    struct network network, alone;
    everything(&network);
    unsigned dice = 1;
    for (int round = 0; round < 300; round++) {
        struct subnetwork sub = any_subnetwork(&network, &dice);
        assert_int_equal(network_extract(&alone, &network, &sub), STATUS_OK);
        assert_int_equal(network_check(&alone), STATUS_OK);
        struct subnetwork only = subnetwork_largest(&alone), smallest = subnetwork_smallest(&alone);
        assert_true(subnetwork_equal(&only, &smallest));
        struct layer_shape shapes[MAX_LAYERS], kept[MAX_LAYERS];
        network_shapes(&network, &sub, shapes);
        network_shapes(&alone, &only, kept);
        assert_memory_equal(shapes, kept, network.layer_count * sizeof shapes[0]);
        struct cost a = network_cost(&network, &sub), b = network_cost(&alone, &only);
        assert_true(a.macs == b.macs && a.parameters == b.parameters);
        network_release(&alone);
    }
    network_release(&network);
}

/* Values say where they come from: parameter, out, in, row, column of the larger network. */
static real mark(int parameter, int out, int in, int row, int column) {
    return (real)((((parameter * 100 + out) * 100 + in) * 7 + row) * 7 + column);
}

static int dimension(const struct parameter *parameter, int index) {
    return index < parameter->rank ? parameter->shape[index] : 1;
}

static void mark_all(const struct parameters *list, real *values) {
    for (int p = 0; p < list->count; p++) {
        const struct parameter *parameter = &list->list[p];
        real *value = values + parameter->offset;
        for (int o = 0; o < dimension(parameter, 0); o++)
            for (int i = 0; i < dimension(parameter, 1); i++)
                for (int r = 0; r < dimension(parameter, 2); r++)
                    for (int c = 0; c < dimension(parameter, 3); c++)
                        *value++ = mark(p, o, i, r, c);
    }
}

static void assert_marks(const struct parameters *all, const struct parameter *kept,
                         const real *value) {
    int p = 0;
    while (strcmp(all->list[p].name, kept->name) != 0)
        p++;
    int border = (dimension(&all->list[p], 2) - dimension(kept, 2)) / 2;
    for (int o = 0; o < dimension(kept, 0); o++)
        for (int i = 0; i < dimension(kept, 1); i++)
            for (int r = 0; r < dimension(kept, 2); r++)
                for (int c = 0; c < dimension(kept, 3); c++)
                    assert_true(*value++ == mark(p, o, i, border + r, border + c));
}

static void extraction_takes_first_channels_and_centres(void **state) {
    (void)state;
    struct network network, alone;
    everything(&network);
    struct parameters all, kept;
    assert_int_equal(parameters_of(&all, &network), STATUS_OK);
    real *values = calloc(all.size, sizeof *values), *extracted = calloc(all.size, sizeof *values);
    mark_all(&all, values);
    unsigned dice = 2;
    for (int round = 0; round < 50; round++) {
        struct subnetwork sub = any_subnetwork(&network, &dice);
        assert_int_equal(network_extract(&alone, &network, &sub), STATUS_OK);
        assert_int_equal(parameters_of(&kept, &alone), STATUS_OK);
        assert_int_equal(parameters_extract(&all, values, &kept, extracted), STATUS_OK);
        for (int i = 0; i < kept.count; i++)
            assert_marks(&all, &kept.list[i], extracted + kept.list[i].offset);
        parameters_release(&kept);
        network_release(&alone);
    }
    free(values);
    free(extracted);
    parameters_release(&all);
    network_release(&network);
}

static void parameters_have_their_names(void **state) {
    (void)state;
    struct network network;
    everything(&network);
    struct parameters list, statistics;
    assert_int_equal(parameters_of(&list, &network), STATUS_OK);
    assert_int_equal(statistics_of(&statistics, &network), STATUS_OK);
    const struct parameter *found = parameters_find(&list, 1, PART_REDUCE, ROLE_WEIGHT);
    assert_string_equal(found->name, "a.se.conv_reduce.weight");
    assert_int_equal(found->shape[0], squeeze_width(97));
    assert_int_equal(found->shape[1], 97);
    found = parameters_find(&list, 3, PART_DEPTHWISE, ROLE_WEIGHT);
    assert_string_equal(found->name, "c.conv_dw.weight");
    assert_int_equal(found->fan_in, 9);
    assert_null(parameters_find(&list, 3, PART_EXPAND, ROLE_WEIGHT));
    assert_string_equal(parameters_find(&list, 4, PART_MAIN, ROLE_BIAS)->name, "head.bias");
    assert_string_equal(parameters_find(&statistics, 1, PART_PROJECT, ROLE_RUNNING_VARIANCE)->name,
                        "a.bn3.running_var");
    assert_null(parameters_find(&statistics, 4, PART_MAIN, ROLE_RUNNING_MEAN));
    parameters_release(&list);
    parameters_release(&statistics);
    network_release(&network);
}

static void initial_values_have_their_variance(void **state) {
    (void)state;
    struct network network;
    const int kernels[8] = {7, 7, 7, 7, 7, 7, 7, 7};
    network_s(&network, 28, 28, 1, kernels);
    struct parameters list;
    assert_int_equal(parameters_of(&list, &network), STATUS_OK);
    real *values = calloc(list.size, sizeof *values), *again = calloc(list.size, sizeof *again);
    parameters_initialise(&list, 5, values);
    parameters_initialise(&list, 5, again);
    assert_memory_equal(values, again, list.size * sizeof *values);
    parameters_initialise(&list, 6, again);
    assert_memory_not_equal(values, again, list.size * sizeof *values);
    const struct parameter *weight = parameters_find(&list, 6, PART_EXPAND, ROLE_WEIGHT);
    double squares = 0;
    for (size_t i = 0; i < weight->count; i++)
        squares += (double)values[weight->offset + i] * values[weight->offset + i];
    /* 3072 draws: the mean of squares has a relative deviation of sqrt(2 / 3072) = 2.6 % */
    assert_true(squares / weight->count > 0.9 * 2 / 32 && squares / weight->count < 1.1 * 2 / 32);
    const struct parameter *norm = parameters_find(&list, 6, PART_EXPAND, ROLE_NORM_WEIGHT);
    assert_true(values[norm->offset] == 1 && values[norm->offset + norm->count - 1] == 1);
    free(values);
    free(again);
    parameters_release(&list);
    network_release(&network);
}

/* Each case breaks one thing of a good network; the sentence must name it. */
struct broken {
    void (*apply)(struct network *network);
    const char *sentence;
};
static void second_stem(struct network *network) {
    strcpy(network->layers[1].name, "stem");
}
static void name_after_dot(struct network *network) {
    strcpy(network->layers[1].name, "stem.bn");
}
static void name_with_space(struct network *network) {
    strcpy(network->layers[1].name, "a b");
}
static void even_kernel(struct network *network) {
    network->choices[network->layers[1].kernel].options[1] = 4;
}
static void rising_widths(struct network *network) {
    network->choices[network->layers[1].width].options[1] = 30;
}
static void residual_at_stride(struct network *network) {
    network->layers[2].residual = true;
}
static void crop_at_stride(struct network *network) {
    network->layers[2].bypass_kind = BYPASS_CROP;
}
static void absent_without_bypass(struct network *network) {
    network->layers[1].bypass = 0;
}
static void bypass_over_width(struct network *network) {
    network->layers[1].bypass = 24;
}
static void stride_three(struct network *network) {
    network->layers[0].stride = 3;
}
static void no_width(struct network *network) {
    network->layers[3].width = -1;
}
static void kernel_of_width(struct network *network) {
    network->layers[3].kernel = network->layers[3].width;
}
static void skipping_input(struct network *network) {
    network->layers[3].input = 0;
}
static void no_pool(struct network *network) {
    network->layers[5] = network->layers[6];
    network->layers[5].input = 4;
    network->layer_count = 6;
}
static void no_classifier(struct network *network) {
    network->layer_count--;
}
static void other_classes(struct network *network) {
    network->classes = 8;
}
static void flat_picture(struct network *network) {
    network->height = 0;
}

static void check_names_what_is_wrong(void **state) {
    (void)state;
    static const struct broken cases[] = {
        {second_stem, "two layers are named 'stem'"},
        {name_after_dot, "names 'stem' and 'stem.bn' one continues the other"},
        {name_with_space, "layer name 'a b' must be made of"},
        {even_kernel, "layer 'a': kernel 4 is even"},
        {rising_widths, "options of its width must fall (23, 30)"},
        {residual_at_stride, "layer 'b': a residual needs stride 1"},
        {crop_at_stride, "layer 'b': a bypass at stride 2 must be bypass_kind: pool"},
        {absent_without_bypass, "block 'a' may be absent but has no bypass"},
        {bypass_over_width, "layer 'a': bypass 24 is over its largest width 23"},
        {stride_three, "layer 'stem': stride 3 is neither 1 nor 2"},
        {no_width, "layer 'c' needs a width"},
        {kernel_of_width, "the kernel of layer 'c' shares a choice of another kind"},
        {skipping_input, "layer 'c' must read the layer before it"},
        {no_pool, "'classifier' must come after a pool"},
        {no_classifier, "last layer 'pool' must be a linear one"},
        {other_classes, "must have width 8, the number of classes"},
        {flat_picture, "pictures of 0 x 11 x 2"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct network network;
        everything(&network);
        cases[i].apply(&network);
        failure_clear();
        assert_int_equal(network_check(&network), STATUS_USAGE);
        if (strstr(failure(), cases[i].sentence) == NULL)
            fail_msg("got '%s', not '%s'", failure(), cases[i].sentence);
        network_release(&network);
    }
    failure_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bypass_gives_z),
        cmocka_unit_test(absent_block_costs_nothing),
        cmocka_unit_test(canonical_ignores_what_changes_nothing),
        cmocka_unit_test(squeeze_width_is_make_divisible),
        cmocka_unit_test(known_networks_count_right),
        cmocka_unit_test(strides_round_pixels_up),
        cmocka_unit_test(extraction_forgets_choices_of_absent_blocks),
        cmocka_unit_test(extraction_keeps_shapes_and_cost),
        cmocka_unit_test(extraction_takes_first_channels_and_centres),
        cmocka_unit_test(parameters_have_their_names),
        cmocka_unit_test(initial_values_have_their_variance),
        cmocka_unit_test(check_names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
