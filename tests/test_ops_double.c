/* The operations in double: against the reference to rounding, and their gradients against central
 * differences of a random projection of their outputs. */
#include "op_trial.h" /* before cmocka, which has a macro fail() */
#include "reference.h"
#include "reference_view.h"
#include "support_ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_against_reference(void **state) {
    (void)state;
    check_against_reference(ops_cpu());
}

/* A trial that runs, and one of equal values that stays as it was created. */
struct pair {
    struct op_trial trial, start;
};

static void pair_create(struct pair *pair, const struct op_case *test) {
    op_trial_create(&pair->trial, test, ops_cpu(), 17, NAN);
    op_trial_create(&pair->start, test, ops_cpu(), 17, NAN);
}

static void pair_release(struct pair *pair) {
    op_trial_release(&pair->trial);
    op_trial_release(&pair->start);
}

static struct view *read_view(struct op_trial *trial) {
    switch (trial->test->kind) {
    case OP_COMBINE:
        return &trial->combine.main;
    case OP_SQUEEZE_EXCITE:
        return &trial->squeeze_excite.input;
    case OP_POOL_MEAN:
        return &trial->pool_mean.input;
    default:
        return &trial->convolution.input;
    }
}

/* Backward takes dz = grad_y dy + grad_z z + grad_one for an output behind a batch-norm: that is
 * the derivative of this. */
static double output_loss(const struct op_trial *trial, const struct segment *segment, int pixel,
                          int channel, double dy) {
    const struct batch_norm *norm = &trial->output_norm;
    double z = *element(&trial->output, segment, pixel, channel);
    if (trial->test->kind > OP_DEPTHWISE || !trial->test->output_norm)
        return dy * z;
    int row = norm_domain(norm, segment) * norm->stride + channel;
    return norm->grad_y[row] * dy * z + norm->grad_z[row] * z * z / 2 + norm->grad_one[row] * z;
}

/* Squeeze-excite: its consumer sees a gate, and has left d loss / d (a gate). */
static double gated_loss(struct pair *pair, const struct segment *segment) {
    struct view consumer = pair->trial.squeeze_excite.input;
    consumer.gate = &pair->trial.squeeze_excite.gate;
    double sum = 0;
    for (int p = 0; p < pixel_count(consumer.tensor, segment); p++)
        for (int c = 0; c < tensor_kept(consumer.tensor, segment); c++)
            sum += *element(&pair->start.input_gradient, segment, p, c) *
                   seen(&consumer, segment, p, c);
    return sum;
}

static double segment_loss(struct pair *pair, const struct segment *segment) {
    const struct op_trial *trial = &pair->trial;
    const struct loss *loss = &trial->loss;
    double sum = 0;
    if (trial->test->kind == OP_SQUEEZE_EXCITE)
        return gated_loss(pair, segment);
    if (trial->test->kind == OP_LOSS) {
        for (int i = segment->picture; i < segment->picture + segment->images; i++)
            sum += loss->scale * (loss->weights ? loss->weights[i] : 1) * loss->losses[i];
        return sum;
    }
    for (int p = 0; p < pixel_count(&trial->output, segment); p++)
        for (int c = 0; c < tensor_kept(&trial->output, segment); c++)
            sum += output_loss(trial, segment, p, c,
                               *element(&pair->start.output_gradient, segment, p, c));
    return sum;
}

static double trial_loss(struct pair *pair) {
    double sum = 0;
    op_trial_forward(&pair->trial);
    for (int s = 0; s < pair->trial.segment_count; s++)
        sum += segment_loss(pair, &pair->trial.segments[s]);
    return sum;
}

/* Losses are at most quadratic between kinks but for a few products of three terms: an error of
 * step^2, and rounding of sums of up to 1e4 over the step, 1e-12 / 1e-5. */
static void assert_slope(const struct pair *pair, const char *what, double got, double want) {
    if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want))))
        fail_msg("%s: gradient of %s is %.9g, central difference %.9g", pair->trial.test->name,
                 what, got, want);
}

static double slope(struct pair *pair, real *at, double (*loss)(struct pair *)) {
    const double step = 1e-5;
    real kept = *at;
    *at = kept + step;
    double above = loss(pair);
    *at = kept - step;
    double below = loss(pair);
    *at = kept;
    return (above - below) / (2 * step);
}

static void check_parameters(struct pair *pair) {
    struct op_trial *trial = &pair->trial;
    const struct op_buffer *parameters = op_find(&trial->memory, trial->parameters);
    for (size_t i = 0; i < trial->parameter_count; i += 1 + trial->parameter_count / 50)
        if (parameters->worth[i])
            assert_slope(pair, "a parameter",
                         trial->slice.gradient[i] - pair->start.slice.gradient[i],
                         slope(pair, &trial->parameters[i], trial_loss));
}

/* From what the view's gradient holds to d loss / d z. */
static double through_view(const struct view *view, const struct segment *segment, int pixel,
                           int channel, double gradient) {
    double activation_slope = 1;
    if (view->gate) {
        int image = pixel / (view->tensor->height * view->tensor->width);
        reference_activation(view->activation, normalised(view, segment, pixel, channel),
                             &activation_slope);
        gradient *= *element(view->gate, segment, image, channel) * activation_slope;
    }
    const struct batch_norm *norm = view->norm;
    return norm ? gradient * norm->scale[norm_domain(norm, segment) * norm->stride + channel]
                : gradient;
}

static int is_absent(const struct op_trial *trial, const struct segment *segment) {
    return trial->test->kind <= OP_DEPTHWISE && tensor_kept(&trial->output, segment) == 0;
}

/* Some elements of every segment: pixels and channels run at different paces. */
static void check_tensor(struct pair *pair, const struct view *view, const struct view *start) {
    for (int s = 0; s < pair->trial.segment_count; s++) {
        const struct segment *segment = &pair->trial.segments[s];
        int pixels = pixel_count(view->tensor, segment);
        int kept = tensor_kept(view->tensor, segment);
        for (int k = 0; k < 7 && kept > 0 && !is_absent(&pair->trial, segment); k++) {
            int p = k * (pixels - 1) / 6, c = (k * 5 + kept - 1) % kept;
            double got = *element(view->gradient, segment, p, c);
            if (view->accumulate)
                got -= *element(start->gradient, segment, p, c);
            assert_slope(pair, "an input", through_view(view, segment, p, c, got),
                         slope(pair, element(view->tensor, segment, p, c), trial_loss));
        }
    }
}

static void test_central_differences(void **state) {
    (void)state;
    for (int i = 0; i < op_case_count; i++) {
        const struct op_case *test = &op_cases[i];
        struct pair pair;
        if (!op_trial_has_backward(test) || test->kind == OP_BATCH_NORM || test->groups)
            continue; /* many groups: the same formulas at length */
        pair_create(&pair, test);
        op_trial_forward(&pair.trial);
        op_trial_backward(&pair.trial);
        check_parameters(&pair);
        if (!test->no_gradient)
            check_tensor(&pair, read_view(&pair.trial), read_view(&pair.start));
        if (test->kind == OP_COMBINE && test->channels > 0)
            check_tensor(&pair, &pair.trial.combine.shortcut, &pair.start.combine.shortcut);
        pair_release(&pair);
    }
}

static void test_central_differences_of_the_loss(void **state) {
    (void)state;
    for (int i = 0; i < op_case_count; i++) {
        struct pair pair;
        if (op_cases[i].kind != OP_LOSS || op_cases[i].no_gradient)
            continue;
        pair_create(&pair, &op_cases[i]);
        op_trial_forward(&pair.trial);
        struct view logits = {.tensor = pair.trial.loss.logits,
                              .gradient = pair.trial.loss.gradient};
        check_tensor(&pair, &logits, NULL);
        pair_release(&pair);
    }
}

/* Batch-norm with statistics of the batch in front of an operation: every z moves the statistics of
 * its whole domain. */
enum { MOST_CHANNELS = 320 };

struct scales {
    real weight[MOST_CHANNELS], bias[MOST_CHANNELS];
    real gradient[2 * MOST_CHANNELS];
};

static void take_statistics(struct pair *pair) {
    struct op_trial *trial = &pair->trial;
    for (int s = 0; s < trial->segment_count; s++)
        reference_moments(&trial->input_norm, &trial->input, &trial->segments[s]);
    trial->ops->batch_norm_forward(&trial->input_norm, &trial->input, &trial->slice);
}

static double loss_behind_norm(struct pair *pair) {
    take_statistics(pair);
    return trial_loss(pair);
}

static void run_behind_norm(struct pair *pair, struct scales *scales) {
    struct op_trial *trial = &pair->trial;
    struct batch_norm *norm = &trial->input_norm;
    for (int c = 0; c < MOST_CHANNELS; c++) {
        scales->weight[c] = op_random(&trial->memory, 0.5, 2);
        scales->bias[c] = op_random(&trial->memory, -1, 2);
    }
    norm->weight = scales->weight;
    norm->bias = scales->bias;
    norm->bias_offset = MOST_CHANNELS;
    take_statistics(pair);
    op_trial_forward(trial);
    op_trial_backward(trial);
    struct slice slice = trial->slice;
    slice.gradient = scales->gradient;
    trial->ops->batch_norm_backward(norm, &trial->input, &slice);
}

static void check_statistics(struct pair *pair, struct scales *scales) {
    struct op_trial *trial = &pair->trial;
    const struct batch_norm *norm = &trial->input_norm;
    const struct view *view = read_view(trial);
    for (int c = 0; c < norm->channels; c += 4) {
        assert_slope(pair, "a batch-norm's weight", scales->gradient[c],
                     slope(pair, &scales->weight[c], loss_behind_norm));
        assert_slope(pair, "a batch-norm's bias", scales->gradient[MOST_CHANNELS + c],
                     slope(pair, &scales->bias[c], loss_behind_norm));
    }
    for (int s = 0; s < pair->trial.segment_count; s++) {
        const struct segment *segment = &trial->segments[s];
        int pixels = pixel_count(view->tensor, segment);
        int kept = tensor_kept(view->tensor, segment);
        for (int k = 0; k < 7 && kept > 0; k++) {
            int p = k * (pixels - 1) / 6, c = (k * 5 + kept - 1) % kept;
            int row = norm_domain(norm, segment) * norm->stride + c;
            real *z = element(view->tensor, segment, p, c);
            double dy = *element(view->gradient, segment, p, c);
            assert_slope(pair, "an input behind its statistics",
                         norm->grad_y[row] * dy + norm->grad_z[row] * *z + norm->grad_one[row],
                         slope(pair, z, loss_behind_norm));
        }
    }
}

static void test_central_differences_through_statistics(void **state) {
    (void)state;
    for (int i = 0; i < op_case_count; i++) {
        const struct op_case *test = &op_cases[i];
        struct pair pair;
        struct scales scales = {0};
        if (test->kind < OP_COMBINE || test->kind > OP_POOL_MEAN || test->gate ||
            test->input_norm == WITHOUT_NORM || test->input_norm == FIXED || test->groups)
            continue;
        pair_create(&pair, test);
        run_behind_norm(&pair, &scales);
        check_statistics(&pair, &scales);
        pair_release(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_central_differences_of_the_loss),
        cmocka_unit_test(test_central_differences_through_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
