/* Pointwise and dense convolution in double: gradients against finite differences. */
#include "support_convolution.h" /* before cmocka, which has a macro fail() */
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* A loss whose derivative by z is what backward takes for dz:
 *     grad_y dy z + grad_z z^2 / 2 + grad_one z,    or dy z without a norm. */
static double loss(struct trial *trial) {
    const struct tensor *output = &trial->convolution.output;
    const struct batch_norm *norm = &trial->output_norm;
    double sum = 0;
    trial_forward(trial);
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < trial_pixels(output, segment); p++) {
            for (int c = 0; c < tensor_kept(output, segment); c++) {
                double z = *trial_element(output, segment, p, c);
                double dy = *trial_element(&trial->output_gradient, segment, p, c);
                int at = norm_domain(norm, segment) * norm->stride + c;
                sum += !trial->shape->output_norm
                           ? dy * z
                           : (norm->grad_y[at] * dy + norm->grad_one[at]) * z +
                                 norm->grad_z[at] * z * z / 2;
            }
        }
    }
    return sum;
}

static double slope(struct trial *trial, real *at) {
    const double step = 1e-4; /* the kinks are 0.01 / scale away at least */
    real kept = *at;
    *at = kept + step;
    double above = loss(trial);
    *at = kept - step;
    double below = loss(trial);
    *at = kept;
    return (above - below) / (2 * step);
}

/* The loss is quadratic between kinks except for hard-swish, so that only rounding remains, of sums
 * of up to 1e5 magnitude over the step; hard-swish adds terms of step^2. */
static void assert_slope(double got, double want) {
    double error = fabs(got - want), most = 1e-6 * (1 + fabs(want)) + 1e-6;
    if (!(error <= most))
        fail_msg("gradient %.9g, finite difference %.9g", got, want);
}

static void check_parameters(struct trial *trial) {
    for (size_t i = 0; i < trial->parameters.count; i += 1 + trial->parameters.count / 60)
        assert_slope(trial->gradient.data[i], slope(trial, &trial->parameters.data[i]));
}

/* The gradient is that of norm(z); a gated view's is that of the activation's output. */
static void check_input(struct trial *trial, const struct trial *before) {
    const struct batch_norm *norm = &trial->input_norm;
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        if (tensor_kept(&trial->convolution.output, segment) == 0)
            continue;
        int pixels = trial_pixels(&trial->input, segment),
            kept = tensor_kept(&trial->input, segment);
        for (int p = 0; p < pixels; p += 1 + pixels / 5) {
            int c = p % kept;
            double got = *trial_element(&trial->input_gradient, segment, p, c);
            if (trial->shape->accumulate)
                got -= *trial_element(&before->input_gradient, segment, p, c);
            double scale = trial->shape->input_norm
                               ? norm->scale[norm_domain(norm, segment) * norm->stride + c]
                               : 1;
            assert_slope(got * scale, slope(trial, trial_element(&trial->input, segment, p, c)));
        }
    }
}

static void test_finite_differences(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        const struct trial_shape *shape = &trial_shapes[i];
        struct trial trial, before;
        print_message("%s\n", shape->name);
        trial_create(&trial, shape, 23, 0);
        trial_create(&before, shape, 23, 0);
        trial_forward(&trial);
        trial_backward(&trial);
        check_parameters(&trial);
        if (!shape->no_gradient && !shape->gate)
            check_input(&trial, &before);
        trial_release(&trial);
        trial_release(&before);
    }
}

/* The same comparison as in float, to rounding in double. */
static void test_against_naive(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial trial, before;
        trial_create(&before, &trial_shapes[i], 29, 0);
        trial_create(&trial, &trial_shapes[i], 29, 0);
        trial_forward(&trial);
        trial_check_forward(&trial);
        trial_backward(&trial);
        trial_check_backward(&trial, &before);
        trial_release(&trial);
        trial_release(&before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_against_naive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
