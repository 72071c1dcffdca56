/* Pointwise and dense convolution against a naive computation in double, and what must not matter.
 */
#include "support_convolution.h" /* before cmocka, which has a macro fail() */
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_against_naive(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial trial, before;
        print_message("%s\n", trial_shapes[i].name);
        trial_create(&before, &trial_shapes[i], 7, 0);
        trial_create(&trial, &trial_shapes[i], 7, 0);
        trial_forward(&trial);
        trial_check_forward(&trial);
        trial_backward(&trial);
        trial_check_backward(&trial, &before);
        trial_release(&trial);
        trial_release(&before);
    }
}

static void assert_same_tensor(const struct trial *a, const struct tensor *in_a,
                               const struct tensor *in_b) {
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &a->segments[s];
        size_t bytes = (size_t)tensor_kept(in_a, segment) * sizeof(real);
        for (int p = 0; p < trial_pixels(in_a, segment); p++)
            assert_memory_equal(trial_element(in_a, segment, p, 0),
                                trial_element(in_b, segment, p, 0), bytes);
    }
}

static void assert_same_partials(const struct trial *a, const struct batch_norm *in_a,
                                 const struct batch_norm *in_b, const int *kept) {
    for (int row = 0; row < 2 * TRIAL_GROUPS; row++) {
        if (in_a->row_count[row / 2] != 0)
            assert_memory_equal(in_a->partial + (size_t)row * in_a->stride,
                                in_b->partial + (size_t)row * in_b->stride,
                                (size_t)kept[a->segments[row / 2].group] * sizeof(double));
    }
}

/* Spare lanes, dropped channels of norms, scratch and what outputs held before. */
static void test_spare_values_change_no_bit(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        const struct trial_shape *shape = &trial_shapes[i];
        struct trial zeros, nans;
        trial_create(&zeros, shape, 11, 0);
        trial_create(&nans, shape, 11, (real)NAN);
        trial_forward(&zeros);
        trial_forward(&nans);
        assert_same_tensor(&zeros, &zeros.convolution.output, &nans.convolution.output);
        if (shape->output_norm)
            assert_same_partials(&zeros, &zeros.output_norm, &nans.output_norm,
                                 shape->kept_outputs);
        trial_backward(&zeros);
        trial_backward(&nans);
        assert_memory_equal(zeros.gradient.data, nans.gradient.data,
                            zeros.gradient.count * sizeof(real));
        if (!shape->no_gradient)
            assert_same_tensor(&zeros, &zeros.input_gradient, &nans.input_gradient);
        if (shape->input_norm && !shape->gate)
            assert_same_partials(&zeros, &zeros.input_norm, &nans.input_norm, shape->kept_inputs);
        trial_release(&zeros);
        trial_release(&nans);
    }
}

/* A weight that no group keeps may hold anything. */
static void test_dropped_weights_are_not_read(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial_shape narrow = trial_shapes[i];
        for (int g = 0; g < TRIAL_GROUPS; g++) {
            narrow.kept_inputs[g] = 1 + narrow.kept_inputs[g] / 2;
            narrow.kept_outputs[g] = 1 + narrow.kept_outputs[g] / 2;
        }
        struct trial clean, poisoned;
        trial_create(&clean, &narrow, 13, 0);
        trial_create(&poisoned, &narrow, 13, 0);
        int taps = narrow.kernel * narrow.kernel;
        for (int o = 0; o < narrow.outputs; o++) {
            for (int in = 0; in < narrow.inputs; in++) {
                int kept = 0;
                for (int g = 0; g < TRIAL_GROUPS; g++)
                    kept |= o < narrow.kept_outputs[g] && in < narrow.kept_inputs[g];
                for (int tap = 0; tap < taps && !kept; tap++)
                    *trial_weight(&poisoned, poisoned.parameters, o, in, tap) = (real)NAN;
            }
        }
        trial_forward(&clean);
        trial_forward(&poisoned);
        assert_same_tensor(&clean, &clean.convolution.output, &poisoned.convolution.output);
        trial_backward(&clean);
        trial_backward(&poisoned);
        assert_memory_equal(clean.gradient.data, poisoned.gradient.data,
                            clean.gradient.count * sizeof(real));
        if (!narrow.no_gradient)
            assert_same_tensor(&clean, &clean.input_gradient, &poisoned.input_gradient);
        trial_release(&clean);
        trial_release(&poisoned);
    }
}

/* One slice of all segments, or a slice for each: the same bits. */
static void test_slices_do_not_matter(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial whole, cut;
        trial_create(&whole, &trial_shapes[i], 17, 0);
        trial_create(&cut, &trial_shapes[i], 17, 0);
        trial_forward(&whole);
        trial_backward(&whole);
        for (int s = 0; s < TRIAL_GROUPS; s++) {
            cut.slice.segments = &cut.segments[s];
            cut.slice.count = 1;
            trial_forward(&cut);
            trial_backward(&cut);
        }
        assert_same_tensor(&whole, &whole.convolution.output, &cut.convolution.output);
        assert_memory_equal(whole.gradient.data, cut.gradient.data,
                            whole.gradient.count * sizeof(real));
        trial_release(&whole);
        trial_release(&cut);
    }
}

/* A block that keeps nothing: its tensors stay as they were. */
static void test_absent_segments_stay_untouched(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial_shape shape = trial_shapes[i];
        struct trial trial, before;
        memset(shape.kept_outputs, 0, sizeof shape.kept_outputs);
        trial_create(&trial, &shape, 19, 3);
        trial_create(&before, &shape, 19, 3);
        trial_forward(&trial);
        trial_backward(&trial);
        assert_memory_equal(trial.gradient.data, before.gradient.data,
                            trial.gradient.count * sizeof(real));
        assert_same_tensor(&trial, &trial.input_gradient, &before.input_gradient);
        for (int s = 0; s < TRIAL_GROUPS; s++) {
            if (shape.output_norm)
                assert_true(trial.output_norm.row_count[s] == 0);
            if (shape.input_norm && !shape.gate)
                assert_true(trial.input_norm.row_count[s] == 0);
        }
        trial_release(&trial);
        trial_release(&before);
    }
}

/* Evaluation: statistics are given, nothing is summed up. */
static void test_fixed_norms_get_no_moments(void **state) {
    (void)state;
    for (int i = 0; i < trial_shape_count; i++) {
        struct trial trial;
        if (!trial_shapes[i].output_norm)
            continue;
        trial_create(&trial, &trial_shapes[i], 31, 3);
        struct batch_norm *norm = &trial.output_norm;
        double untouched = norm->partial[0];
        norm->mode = NORM_FIXED;
        trial_forward(&trial);
        for (int row = 0; row < 2 * TRIAL_GROUPS * norm->stride; row++)
            assert_true(norm->partial[row] == untouched);
        trial_release(&trial);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_spare_values_change_no_bit),
        cmocka_unit_test(test_dropped_weights_are_not_read),
        cmocka_unit_test(test_slices_do_not_matter),
        cmocka_unit_test(test_absent_segments_stay_untouched),
        cmocka_unit_test(test_fixed_norms_get_no_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
