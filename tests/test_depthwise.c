/* The depthwise convolution against plain double loops. */
#include "depthwise_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* d loss / d z of one output, or 0 outside the image. */
static double output_gradient(const struct depthwise_case *test, int segment, int image, int y,
                              int x, int c) {
    const struct tensor *output = &test->convolution.output;
    if (y < 0 || y >= output->height || x < 0 || x >= output->width)
        return 0;
    double dy = case_pixel(test, &test->output_gradient, segment, image, y, x)[c];
    double z = case_pixel(test, output, segment, image, y, x)[c];
    const struct batch_norm *norm = test->convolution.norm;
    int row = segment * test->output_norm.stride + c;
    return norm ? norm->grad_y[row] * dy + norm->grad_z[row] * z + norm->grad_one[row] : dy;
}

static double normalised(const struct depthwise_case *test, int segment, int image, int y, int x,
                         int c) {
    double z = case_pixel(test, &test->input, segment, image, y, x)[c];
    const struct batch_norm *norm = test->convolution.input.norm;
    int row = segment * test->input_norm.stride + c;
    return norm ? norm->scale[row] * z + norm->shift[row] : z;
}

static double input_value(const struct depthwise_case *test, int segment, int image, int y, int x,
                          int c) {
    if (y < 0 || y >= test->input.height || x < 0 || x >= test->input.width)
        return 0;
    double value = normalised(test, segment, image, y, x, c);
    double clamped = fmin(fmax(value + 3, 0), 6);
    switch (test->options.activation) {
    case ACTIVATION_NONE:
        return value;
    case ACTIVATION_RELU:
        return fmax(value, 0);
    case ACTIVATION_RELU6:
        return fmin(fmax(value, 0), 6);
    case ACTIVATION_HARD_SWISH:
        return value * clamped / 6;
    case ACTIVATION_HARD_SIGMOID:
        return clamped / 6;
    }
    return NAN;
}

static double slope(enum activation activation, double value) {
    int linear = value > -3 && value < 3;
    switch (activation) {
    case ACTIVATION_NONE:
        return 1;
    case ACTIVATION_RELU:
        return value > 0;
    case ACTIVATION_RELU6:
        return value > 0 && value < 6;
    case ACTIVATION_HARD_SWISH:
        return linear ? (2 * value + 3) / 6 : value > 0;
    case ACTIVATION_HARD_SIGMOID:
        return linear ? 1.0 / 6 : 0;
    }
    return NAN;
}

static double weight(const struct depthwise_case *test, int segment, int ky, int kx, int c) {
    int full = test->options.kernel, margin = (full - test->options.kernels[segment]) / 2;
    return test->convolution.weight[(c * full + ky + margin) * full + kx + margin];
}

/* A sum and the sum of its terms' magnitudes, which is what rounding is proportional to. */
struct sum {
    double value, magnitude;
};

static void add(struct sum *sum, double term) {
    sum->value += term;
    sum->magnitude += fabs(term);
}

/* 32 units in the last place: the longest chains of additions have a thousand roundings. */
static void assert_near(double got, struct sum expected) {
    assert_true(fabs(got - expected.value) <= 2e-6 * expected.magnitude + 1e-6);
}

static struct sum output_value(const struct depthwise_case *test, int s, int image, int y, int x,
                               int c) {
    int kernel = test->options.kernels[s], padding = kernel / 2, stride = test->options.stride;
    struct sum z = {0};
    if (test->convolution.bias)
        add(&z, test->convolution.bias[c]);
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++)
            add(&z,
                weight(test, s, ky, kx, c) * input_value(test, s, image, y * stride + ky - padding,
                                                         x * stride + kx - padding, c));
    return z;
}

static void check_output(const struct depthwise_case *test, int s) {
    const struct tensor *output = &test->convolution.output;
    const struct batch_norm *norm = &test->output_norm;
    int images = test->segments[s].images, pixels = output->height * output->width;
    for (int c = 0; c < test->options.kept[s]; c++) {
        struct sum mean = {0}, squares = {0};
        for (int image = 0; image < images; image++)
            for (int y = 0; y < output->height; y++)
                for (int x = 0; x < output->width; x++) {
                    struct sum z = output_value(test, s, image, y, x, c);
                    assert_near(case_pixel(test, output, s, image, y, x)[c], z);
                    add(&mean, z.value / images / pixels);
                    add(&squares, z.value * z.value);
                }
        squares.value -= mean.value * mean.value * images * pixels;
        squares.magnitude *= 4; /* deviations are taken from the first pixel */
        if (test->options.norm) {
            assert_near(norm->partial[s * 2 * norm->stride + c], mean);
            assert_near(norm->partial[(s * 2 + 1) * norm->stride + c], squares);
            assert_true(norm->row_count[s] == (double)images * pixels);
        }
    }
}

static struct sum input_gradient(const struct depthwise_case *test, int s, int image, int y, int x,
                                 int c) {
    int kernel = test->options.kernels[s], stride = test->options.stride;
    double factor = slope(test->options.activation, normalised(test, s, image, y, x, c));
    struct sum sum = {0};
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++) {
            int down = y + kernel / 2 - ky, right = x + kernel / 2 - kx;
            if (down >= 0 && down % stride == 0 && right >= 0 && right % stride == 0)
                add(&sum, factor * weight(test, s, ky, kx, c) *
                              output_gradient(test, s, image, down / stride, right / stride, c));
        }
    return sum;
}

/* before: what the gradient tensor held, for views that accumulate. */
static void check_input_gradient(const struct depthwise_case *test,
                                 const struct depthwise_case *before, int s) {
    const struct depthwise_options *options = &test->options;
    const struct batch_norm *norm = &test->input_norm;
    int images = test->segments[s].images;
    for (int c = 0; c < options->kept[s]; c++) {
        struct sum first = {0}, second = {0};
        for (int image = 0; image < images; image++)
            for (int y = 0; y < options->height; y++)
                for (int x = 0; x < options->width; x++) {
                    struct sum expected = input_gradient(test, s, image, y, x, c);
                    double z = case_pixel(test, &test->input, s, image, y, x)[c];
                    add(&first, expected.value);
                    add(&second, expected.value * (z - norm->mean[s * norm->stride + c]));
                    if (options->accumulate)
                        add(&expected,
                            case_pixel(before, &before->input_gradient, s, image, y, x)[c]);
                    assert_near(case_pixel(test, &test->input_gradient, s, image, y, x)[c],
                                expected);
                }
        if (options->norm) {
            assert_near(norm->partial[s * 2 * norm->stride + c], first);
            assert_near(norm->partial[(s * 2 + 1) * norm->stride + c], second);
            assert_true(norm->row_count[s] == (double)images * options->height * options->width);
        }
    }
}

/* What one output pixel adds to the gradients of its channel. */
static void add_parameter_terms(const struct depthwise_case *test, int s, int image, int y, int x,
                                int c, struct sum *expected) {
    int full = test->options.kernel, kernel = test->options.kernels[s];
    int margin = (full - kernel) / 2, stride = test->options.stride;
    double dz = output_gradient(test, s, image, y, x, c);
    if (test->convolution.bias)
        add(&expected[test->weights + c], dz);
    for (int ky = 0; ky < kernel; ky++)
        for (int kx = 0; kx < kernel; kx++)
            add(&expected[(c * full + ky + margin) * full + kx + margin],
                dz * input_value(test, s, image, y * stride + ky - kernel / 2,
                                 x * stride + kx - kernel / 2, c));
}

static void check_parameter_gradients(const struct depthwise_case *test) {
    int parameters = test->weights + test->options.channels;
    struct sum *expected = calloc(parameters, sizeof *expected);
    for (int s = 0; s < CASE_SEGMENTS; s++)
        for (int c = 0; c < test->options.kept[s]; c++)
            for (int image = 0; image < test->segments[s].images; image++)
                for (int y = 0; y < test->output_gradient.height; y++)
                    for (int x = 0; x < test->output_gradient.width; x++)
                        add_parameter_terms(test, s, image, y, x, c, expected);
    for (int i = 0; i < parameters; i++) {
        assert_near(test->slice.gradient[i], expected[i]);
        if (expected[i].magnitude == 0)
            assert_true(test->slice.gradient[i] == 0);
    }
    free(expected);
}

static void run(struct depthwise_case *test) {
    assert_int_equal(depthwise_prepare(&test->convolution), STATUS_OK);
    assert_int_equal(depthwise_forward(&test->convolution, &test->slice), STATUS_OK);
    assert_int_equal(depthwise_backward(&test->convolution, &test->slice), STATUS_OK);
}

/* Kept values are the same bits; what no operation may write still holds its fill. */
static void check_same(const struct depthwise_case *test, const struct depthwise_case *other,
                       const struct tensor *tensor, const struct tensor *other_tensor, real fill) {
    for (int s = 0; s < CASE_SEGMENTS; s++) {
        const struct segment *segment = &test->segments[s];
        int pixels = segment->images * tensor->height * tensor->width;
        int ld = tensor_ld(tensor, segment);
        const real *a = tensor_segment(tensor, segment);
        const real *b = tensor_segment(other_tensor, &other->segments[s]);
        for (int i = 0; i < pixels; i++)
            if (ld > 0)
                assert_memory_equal(a + (size_t)i * ld, b + (size_t)i * ld,
                                    test->options.kept[s] * sizeof(real));
        for (size_t i = (size_t)pixels * ld; i < segment->images * tensor->image_size; i++)
            assert_memory_equal(a + i, &fill, sizeof fill);
    }
    for (int i = 0; i < READ_SLACK; i++)
        assert_memory_equal(tensor->data + case_elements(tensor) + i, &fill, sizeof fill);
}

static void check_same_norm(const struct batch_norm *a, const struct batch_norm *b,
                            const int *kept) {
    for (int s = 0; s < CASE_SEGMENTS; s++)
        for (int which = 0; which < 2; which++)
            assert_memory_equal(a->partial + (s * 2 + which) * a->stride,
                                b->partial + (s * 2 + which) * b->stride, kept[s] * sizeof(double));
}

static void check_case(const struct depthwise_options *options) {
    struct depthwise_case test, before, poisoned;
    case_create(&test, options, 0);
    case_create(&before, options, 0);
    case_create(&poisoned, options, NAN);
    run(&test);
    run(&poisoned);
    for (int s = 0; s < CASE_SEGMENTS; s++) {
        check_output(&test, s);
        check_input_gradient(&test, &before, s);
    }
    check_parameter_gradients(&test);
    check_same(&poisoned, &test, &poisoned.convolution.output, &test.convolution.output, NAN);
    check_same(&poisoned, &test, &poisoned.input_gradient, &test.input_gradient, NAN);
    check_same_norm(&poisoned.output_norm, &test.output_norm, options->kept);
    check_same_norm(&poisoned.input_norm, &test.input_norm, options->kept);
    assert_memory_equal(poisoned.slice.gradient, test.slice.gradient,
                        (test.weights + options->channels) * sizeof(real));
    case_release(&test);
    case_release(&before);
    case_release(&poisoned);
}

static void widths_and_kernels(void **state) {
    (void)state;
    static const int widths[] = {1, 7, 8, 9, 23, 40, 97};
    for (int w = 0; w < 7; w++)
        for (int kernel = 1; kernel <= 7; kernel += 2)
            for (int stride = 1; stride <= 2; stride++) {
                struct depthwise_options options = {
                    .channels = widths[w],
                    .kernel = kernel,
                    .stride = stride,
                    .height = 7,
                    .width = 9,
                    .kept = {widths[w], (widths[w] + 1) / 2, 1},
                    .kernels = {kernel, kernel > 1 ? kernel - 2 : 1, kernel > 3 ? 3 : 1},
                    .activation = ACTIVATION_RELU6,
                    .norm = 1};
                check_case(&options);
            }
}

static void picture_sizes(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1},   {4, 4},  {5, 5},  {7, 7},  {8, 8}, {14, 14}, {28, 28},
                                   {32, 32}, {1, 13}, {13, 1}, {4, 70}, {3, 2}, {14, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kernel = 3; kernel <= 7; kernel += 2)
            for (int stride = 1; stride <= 2; stride++) {
                struct depthwise_options options = {.channels = 17,
                                                    .kernel = 7,
                                                    .stride = stride,
                                                    .height = sizes[i][0],
                                                    .width = sizes[i][1],
                                                    .kept = {17, 16, 3},
                                                    .kernels = {7, kernel, 8 - kernel},
                                                    .activation = ACTIVATION_HARD_SWISH,
                                                    .norm = 1};
                check_case(&options);
            }
}

static void views(void **state) {
    (void)state;
    for (int norm = 0; norm < 2; norm++)
        for (enum activation activation = 0; activation <= ACTIVATION_HARD_SIGMOID; activation++)
            for (int accumulate = 0; accumulate <= !norm && !activation; accumulate++) {
                struct depthwise_options options = {.channels = 24,
                                                    .kernel = 5,
                                                    .stride = 1,
                                                    .height = 6,
                                                    .width = 8,
                                                    .kept = {24, 16, 5},
                                                    .kernels = {5, 3, 5},
                                                    .activation = activation,
                                                    .norm = norm,
                                                    .accumulate = accumulate};
                check_case(&options);
            }
}

static void absent_and_fixed(void **state) {
    (void)state;
    struct depthwise_options options = {.channels = 24,
                                        .kernel = 3,
                                        .stride = 1,
                                        .height = 5,
                                        .width = 5,
                                        .kept = {24, 0, 8},
                                        .kernels = {3, 3, 3},
                                        .norm = 1};
    check_case(&options);

    struct depthwise_case test;
    case_create(&test, &options, 0);
    test.output_norm.row_count[1] = test.input_norm.row_count[1] = 7; /* of an earlier batch */
    run(&test);
    assert_true(test.output_norm.row_count[1] == 0);
    assert_true(test.input_norm.row_count[1] == 0);
    case_release(&test);

    case_create(&test, &options, 0);
    test.output_norm.mode = NORM_FIXED;
    test.input_norm.mode = NORM_FIXED;
    test.convolution.input.gradient = NULL;
    run(&test);
    for (int i = 0; i < CASE_SEGMENTS * 2 * test.output_norm.stride; i++)
        assert_true(test.output_norm.partial[i] == 0);
    case_release(&test);
}

static void refuses_wide_strides(void **state) {
    (void)state;
    struct convolution convolution = {.kernel = 3, .stride = 3};
    assert_int_equal(depthwise_prepare(&convolution), STATUS_USAGE);
    failure_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_and_kernels),
        cmocka_unit_test(picture_sizes),
        cmocka_unit_test(views),
        cmocka_unit_test(absent_and_fixed),
        cmocka_unit_test(refuses_wide_strides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
