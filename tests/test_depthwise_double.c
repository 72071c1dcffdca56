/* The depthwise convolution's gradients against finite differences. */
#include "depthwise_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* A loss whose derivative by z is what backward takes for dz:
 * grad_y dy z + grad_z z^2 / 2 + grad_one z, or dy z without a batch-norm. */
static double loss(const struct depthwise_case *test) {
    const struct tensor *output = &test->convolution.output;
    assert_int_equal(depthwise_prepare(&test->convolution), STATUS_OK);
    assert_int_equal(depthwise_forward(&test->convolution, &test->slice), STATUS_OK);
    double sum = 0;
    for (int s = 0; s < CASE_SEGMENTS; s++)
        for (int image = 0; image < test->segments[s].images; image++)
            for (int pixel = 0; pixel < output->height * output->width; pixel++)
                for (int c = 0; c < test->options.kept[s]; c++) {
                    double z = case_pixel(test, output, s, image, 0, pixel)[c];
                    double dy = case_pixel(test, &test->output_gradient, s, image, 0, pixel)[c];
                    const struct batch_norm *norm = test->convolution.norm;
                    int row = s * test->output_norm.stride + c;
                    sum += norm ? norm->grad_y[row] * dy * z + norm->grad_z[row] * z * z / 2 +
                                      norm->grad_one[row] * z
                                : dy * z;
                }
    return sum;
}

/* The loss is quadratic in every value where no activation bends, so central differences are exact
 * but for rounding (1e-16 * 1e3 / 1e-5); bends of the activations within the step are not met with
 * these fixed values. */
static void check_derivative(const struct depthwise_case *test, real *value, double expected) {
    const double step = 1e-5;
    real kept = *value;
    *value = kept + step;
    double up = loss(test);
    *value = kept - step;
    double down = loss(test);
    *value = kept;
    assert_true(fabs((up - down) / (2 * step) - expected) < 1e-6 * (1 + fabs(expected)));
}

static void check_inputs(const struct depthwise_case *test, int s) {
    const struct batch_norm *norm = test->convolution.input.norm;
    const struct depthwise_options *options = &test->options;
    for (int pixel = 0; pixel < options->height * options->width; pixel++)
        for (int c = s; c < options->kept[s]; c += 7) {
            int row = s * test->input_norm.stride + c;
            double gradient = case_pixel(test, &test->input_gradient, s, 0, 0, pixel)[c];
            check_derivative(test, case_pixel(test, &test->input, s, 0, 0, pixel) + c,
                             norm ? gradient * norm->scale[row] : gradient);
        }
}

/* The first sum is d loss / d shift; the second, with what the mean takes, d loss / d scale. */
static void check_sums(const struct depthwise_case *test, int s) {
    const struct batch_norm *norm = test->convolution.input.norm;
    if (norm == NULL)
        return;
    for (int c = 0; c < test->options.kept[s]; c++) {
        int row = s * norm->stride + c;
        double first = norm->partial[s * 2 * norm->stride + c];
        double second = norm->partial[(s * 2 + 1) * norm->stride + c];
        check_derivative(test, norm->shift + row, first);
        check_derivative(test, norm->scale + row, second + first * norm->mean[row]);
    }
}

static void check_parameters(const struct depthwise_case *test) {
    real *parameters = (real *)test->convolution.weight; /* the bias follows the weight */
    int biases = test->convolution.bias ? test->options.channels : 0;
    for (int i = 0; i < test->weights + biases; i++)
        check_derivative(test, parameters + i, test->slice.gradient[i]);
}

static void check_case(const struct depthwise_options *options) {
    struct depthwise_case test;
    case_create(&test, options, 0);
    loss(&test);
    assert_int_equal(depthwise_backward(&test.convolution, &test.slice), STATUS_OK);
    for (int s = 0; s < CASE_SEGMENTS; s++) {
        check_inputs(&test, s);
        check_sums(&test, s);
    }
    check_parameters(&test);
    case_release(&test);
}

static void finite_differences(void **state) {
    (void)state;
    for (int stride = 1; stride <= 2; stride++)
        for (enum activation activation = 0; activation <= ACTIVATION_HARD_SIGMOID; activation++)
            for (int norm = 0; norm < 2; norm++) {
                struct depthwise_options options = {.channels = 9,
                                                    .kernel = 5,
                                                    .stride = stride,
                                                    .height = 5,
                                                    .width = 6,
                                                    .kept = {9, 8, 3},
                                                    .kernels = {5, 3, 1},
                                                    .activation = activation,
                                                    .norm = norm};
                check_case(&options);
            }
}

static void finite_differences_of_seven(void **state) {
    (void)state;
    for (int stride = 1; stride <= 2; stride++) {
        struct depthwise_options options = {.channels = 5,
                                            .kernel = 7,
                                            .stride = stride,
                                            .height = 8,
                                            .width = 7,
                                            .kept = {5, 4, 2},
                                            .kernels = {7, 5, 3},
                                            .activation = ACTIVATION_RELU6,
                                            .norm = 1};
        check_case(&options);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finite_differences),
        cmocka_unit_test(finite_differences_of_seven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
