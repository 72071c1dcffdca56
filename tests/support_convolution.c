#include "support_convolution.h"
#include "cpu.h" /* before cmocka, which has a macro fail() */

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

const struct trial_shape trial_shapes[] = {
    {.name = "1x1 plain",
     .inputs = 97,
     .outputs = 97,
     .kernel = 1,
     .height = 7,
     .width = 7,
     .kept_inputs = {1, 23, 97, 40},
     .kept_outputs = {97, 40, 8, 7},
     .output_norm = 1},
    {.name = "1x1 behind norm and ReLU6",
     .inputs = 40,
     .outputs = 23,
     .kernel = 1,
     .height = 9,
     .width = 10,
     .kept_inputs = {40, 9, 8, 23},
     .kept_outputs = {9, 0, 23, 1},
     .input_norm = 1,
     .activation = ACTIVATION_RELU6,
     .output_norm = 1},
    {.name = "1x1 behind norm, hard-swish and gate; shared norms",
     .inputs = 97,
     .outputs = 40,
     .kernel = 1,
     .height = 9,
     .width = 9,
     .kept_inputs = {7, 97, 1, 40},
     .kept_outputs = {40, 23, 9, 16},
     .input_norm = 1,
     .shared = 1,
     .gate = 1,
     .activation = ACTIVATION_HARD_SWISH,
     .output_norm = 1},
    {.name = "1x1 adding to the gradient, behind ReLU of the output's consumer",
     .inputs = 23,
     .outputs = 72,
     .kernel = 1,
     .height = 8,
     .width = 9,
     .kept_inputs = {23, 16, 7, 9},
     .kept_outputs = {72, 64, 40, 8},
     .output_norm = 1,
     .accumulate = 1},
    {.name = "1x1 into wider gradients",
     .inputs = 24,
     .outputs = 24,
     .kernel = 1,
     .height = 3,
     .width = 23,
     .kept_inputs = {8, 9, 16, 23},
     .kept_outputs = {23, 16, 9, 8},
     .accumulate = 1,
     .wider_gradient = 9},
    {.name = "classifier",
     .inputs = 40,
     .outputs = 10,
     .kernel = 1,
     .height = 1,
     .width = 1,
     .kept_inputs = {40, 23, 9, 1},
     .kept_outputs = {10, 10, 10, 10},
     .activation = ACTIVATION_RELU,
     .bias = 1,
     .output_align = 1},
    {.name = "3x3 stem of stride 2",
     .inputs = 3,
     .outputs = 23,
     .kernel = 3,
     .stride = 2,
     .height = 23,
     .width = 20,
     .kept_inputs = {3, 3, 3, 3},
     .kept_outputs = {23, 16, 7, 0},
     .kernels = {3, 3, 3, 3},
     .input_align = 1,
     .no_gradient = 1,
     .output_norm = 1},
    {.name = "5x5 behind norm and ReLU6, kernels kept",
     .inputs = 9,
     .outputs = 40,
     .kernel = 5,
     .height = 9,
     .width = 8,
     .kept_inputs = {9, 8, 7, 1},
     .kept_outputs = {1, 23, 9, 40},
     .kernels = {5, 3, 1, 5},
     .input_norm = 1,
     .activation = ACTIVATION_RELU6,
     .output_norm = 1},
    {.name = "7x7 of stride 2 with bias, adding to the gradient",
     .inputs = 5,
     .outputs = 8,
     .kernel = 7,
     .stride = 2,
     .height = 7,
     .width = 70,
     .kept_inputs = {5, 1, 4, 5},
     .kept_outputs = {8, 7, 1, 8},
     .kernels = {7, 5, 3, 7},
     .bias = 1,
     .accumulate = 1},
};
const int trial_shape_count = sizeof trial_shapes / sizeof *trial_shapes;

static uint64_t random_state;

/* Uniform in [-1, 1). */
static double draw(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(random_state >> 11) / 4503599627370496.0 - 1;
}

static struct buffer take(struct trial *trial, size_t count) {
    size_t bytes = (count + READ_SLACK) * sizeof(real);
    struct buffer buffer = {aligned_alloc(64, (bytes + 63) / 64 * 64), count};
    assert_non_null(buffer.data);
    for (size_t i = 0; i < count + READ_SLACK; i++)
        buffer.data[i] = trial->spare;
    trial->buffers[trial->buffer_count++] = buffer;
    return buffer;
}

int trial_pixels(const struct tensor *tensor, const struct segment *segment) {
    return segment->images * tensor->height * tensor->width;
}

real *trial_element(const struct tensor *tensor, const struct segment *segment, int pixel,
                    int channel) {
    return tensor_segment(tensor, segment) + (size_t)pixel * tensor_ld(tensor, segment) + channel;
}

real *trial_weight(const struct trial *trial, struct buffer vector, int output, int input,
                   int tap) {
    const struct trial_shape *shape = trial->shape;
    int taps = shape->kernel * shape->kernel;
    return vector.data + trial->convolution.weight_offset +
           ((size_t)output * shape->inputs + input) * taps + tap;
}

real *trial_bias(const struct trial *trial, struct buffer vector, int output) {
    return vector.data + trial->convolution.bias_offset + output;
}

static int images(const struct trial *trial) {
    const struct segment *last = &trial->segments[TRIAL_GROUPS - 1];
    return last->first + last->images;
}

static struct tensor make_tensor(struct trial *trial, int height, int width, int channels,
                                 int align, const int *kept) {
    struct tensor tensor = {.image_size = (size_t)height * width * round_up(channels, align),
                            .height = height,
                            .width = width,
                            .channels = channels,
                            .align = align,
                            .kept = kept};
    tensor.data = take(trial, tensor.image_size * images(trial)).data;
    return tensor;
}

static void fill_tensor(struct trial *trial, const struct tensor *tensor, double scale) {
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < trial_pixels(tensor, segment); p++) {
            for (int c = 0; c < tensor_kept(tensor, segment); c++)
                *trial_element(tensor, segment, p, c) = (real)(scale * draw());
        }
    }
}

static real *make_norm_rows(struct trial *trial, const struct batch_norm *norm, const int *kept,
                            double low, double high) {
    real *rows = take(trial, (size_t)TRIAL_GROUPS * norm->stride).data;
    for (int g = 0; g < TRIAL_GROUPS; g++) {
        int count = norm->mode == NORM_SHARED ? norm->channels : kept[g];
        for (int c = 0; c < count; c++)
            rows[g * norm->stride + c] = (real)(low + (high - low) * (draw() + 1) / 2);
    }
    return rows;
}

static struct batch_norm make_norm(struct trial *trial, int channels, const int *kept) {
    struct batch_norm norm = {.channels = channels,
                              .stride = round_up(channels, CHANNEL_ALIGN),
                              .mode = trial->shape->shared ? NORM_SHARED : NORM_PER_GROUP};
    norm.mean = make_norm_rows(trial, &norm, kept, -0.5, 0.5);
    norm.scale = make_norm_rows(trial, &norm, kept, 2, 5);
    norm.shift = make_norm_rows(trial, &norm, kept, -1, 4);
    norm.grad_y = make_norm_rows(trial, &norm, kept, -2, 2);
    norm.grad_z = make_norm_rows(trial, &norm, kept, -1, 1);
    norm.grad_one = make_norm_rows(trial, &norm, kept, -1, 1);
    size_t reals_per_double = sizeof(double) / sizeof(real);
    norm.partial =
        (double *)take(trial, (size_t)TRIAL_GROUPS * 2 * norm.stride * reals_per_double).data;
    norm.row_count = (double *)take(trial, TRIAL_GROUPS * reals_per_double).data;
    return norm;
}

struct number {
    double value;
    double size; /* of the terms, for the rounding error */
};

static struct number activation(enum activation kind, struct number y, double *slope) {
    double clamped = fmin(fmax(y.value + 3, 0), 6) / 6;
    int inside = y.value > -3 && y.value < 3;
    struct number a = y;
    *slope = 1;
    switch (kind) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_RELU:
        a.value = fmax(y.value, 0);
        *slope = y.value > 0;
        break;
    case ACTIVATION_RELU6:
        a.value = fmin(fmax(y.value, 0), 6);
        *slope = y.value > 0 && y.value < 6;
        break;
    case ACTIVATION_HARD_SWISH:
        a.value = y.value * clamped;
        a.size = y.size * (1 + fabs(y.value));
        *slope = clamped + (inside ? y.value / 6 : 0);
        break;
    case ACTIVATION_HARD_SIGMOID:
        a.value = clamped;
        *slope = inside ? 1.0 / 6 : 0;
        break;
    }
    return a;
}

static struct number normalised(const struct trial *trial, const struct segment *segment, int pixel,
                                int channel) {
    double x = *trial_element(&trial->input, segment, pixel, channel);
    if (!trial->shape->input_norm)
        return (struct number){x, fabs(x)};
    const struct batch_norm *norm = &trial->input_norm;
    int at = norm_domain(norm, segment) * norm->stride + channel;
    double scale = norm->scale[at], shift = norm->shift[at];
    return (struct number){scale * x + shift, fabs(scale * x) + fabs(shift)};
}

/* The input as the convolution sees it, and d a / d norm(z) without the gate. */
static struct number seen(const struct trial *trial, const struct segment *segment, int pixel,
                          int channel, double *slope) {
    struct number a =
        activation(trial->shape->activation, normalised(trial, segment, pixel, channel), slope);
    if (trial->shape->gate) {
        int image = pixel / (trial->input.height * trial->input.width);
        double gate = *trial_element(&trial->gate, segment, image, channel);
        a = (struct number){a.value * gate, a.size * fabs(gate)};
    }
    return a;
}

/* Finite differences and a float's rounding must not cross a kink of an activation. */
static void avoid_kinks(struct trial *trial) {
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int p = 0; p < trial_pixels(&trial->input, segment); p++) {
            for (int c = 0; c < tensor_kept(&trial->input, segment); c++) {
                double y = normalised(trial, segment, p, c).value;
                if (fabs(y - 3 * round(y / 3)) < 0.01)
                    *trial_element(&trial->input, segment, p, c) += (real)0.03;
            }
        }
    }
}

static void make_segments(struct trial *trial) {
    for (int s = 0, first = 0; s < TRIAL_GROUPS; s++) {
        trial->segments[s] = (struct segment){
            .index = s, .group = s, .first = first, .images = TRIAL_IMAGES + s % 2};
        first += trial->segments[s].images;
    }
}

static void make_tensors(struct trial *trial) {
    const struct trial_shape *shape = trial->shape;
    int stride = trial->convolution.stride;
    int height = (shape->height - 1) / stride + 1, width = (shape->width - 1) / stride + 1;
    int input_align = shape->input_align ? shape->input_align : CHANNEL_ALIGN;
    int output_align = shape->output_align ? shape->output_align : CHANNEL_ALIGN;
    for (int g = 0; g < TRIAL_GROUPS; g++) {
        trial->kept_input_gradient[g] = shape->kept_inputs[g] + shape->wider_gradient;
        trial->kept_output_gradient[g] = shape->kept_outputs[g] + shape->wider_gradient;
    }
    trial->input = make_tensor(trial, shape->height, shape->width, shape->inputs, input_align,
                               shape->kept_inputs);
    trial->input_gradient =
        make_tensor(trial, shape->height, shape->width, shape->inputs + shape->wider_gradient,
                    input_align, trial->kept_input_gradient);
    trial->convolution.output =
        make_tensor(trial, height, width, shape->outputs, output_align, shape->kept_outputs);
    trial->output_gradient =
        make_tensor(trial, height, width, shape->outputs + shape->wider_gradient, output_align,
                    trial->kept_output_gradient);
    trial->gate = make_tensor(trial, 1, 1, shape->inputs, CHANNEL_ALIGN, shape->kept_inputs);
    fill_tensor(trial, &trial->input, 1.5);
    fill_tensor(trial, &trial->input_gradient, 1);
    fill_tensor(trial, &trial->output_gradient, 1);
    fill_tensor(trial, &trial->gate, 1);
}

static void make_parameters(struct trial *trial) {
    const struct trial_shape *shape = trial->shape;
    struct convolution *convolution = &trial->convolution;
    int taps = shape->kernel * shape->kernel;
    convolution->bias_offset = 3;
    convolution->weight_offset = 3 + shape->outputs;
    size_t count = convolution->weight_offset + (size_t)shape->outputs * shape->inputs * taps;
    trial->parameters = take(trial, count);
    trial->gradient = take(trial, count);
    for (size_t i = 0; i < count; i++) {
        trial->parameters.data[i] = (real)draw();
        trial->gradient.data[i] = 0;
    }
    convolution->weight = trial->parameters.data + convolution->weight_offset;
    if (shape->bias)
        convolution->bias = trial->parameters.data + convolution->bias_offset;
}

void trial_create(struct trial *trial, const struct trial_shape *shape, unsigned seed, real spare) {
    *trial = (struct trial){.shape = shape, .spare = spare};
    random_state = seed;
    struct convolution *convolution = &trial->convolution;
    convolution->kind = shape->kernel == 1 ? CONVOLUTION_POINTWISE : CONVOLUTION_DENSE;
    convolution->stride = shape->stride ? shape->stride : 1;
    convolution->kernel = shape->kernel;
    convolution->kernels = shape->kernels;
    make_segments(trial);
    make_tensors(trial);
    make_parameters(trial);
    convolution->output_gradient = &trial->output_gradient;
    convolution->input = (struct view){
        .tensor = &trial->input, .activation = shape->activation, .accumulate = shape->accumulate};
    if (!shape->no_gradient)
        convolution->input.gradient = &trial->input_gradient;
    if (shape->gate)
        convolution->input.gate = &trial->gate;
    if (shape->input_norm) {
        trial->input_norm = make_norm(trial, shape->inputs, shape->kept_inputs);
        convolution->input.norm = &trial->input_norm;
    }
    if (shape->output_norm) {
        trial->output_norm = make_norm(trial, shape->outputs, shape->kept_outputs);
        convolution->norm = &trial->output_norm;
    }
    avoid_kinks(trial);
    convolution->prepared = take(trial, convolution_prepared_size(convolution)).data;
    trial->scratch = take(trial, convolution_scratch(convolution) / sizeof(real));
    trial->slice = (struct slice){.segments = trial->segments,
                                  .count = TRIAL_GROUPS,
                                  .gradient = trial->gradient.data,
                                  .scratch = trial->scratch.data};
}

/* Nothing may have been written behind a buffer. */
static void check_slack(const struct trial *trial) {
    for (int b = 0; b < trial->buffer_count; b++) {
        struct buffer buffer = trial->buffers[b];
        for (int i = 0; i < READ_SLACK; i++)
            assert_memory_equal(&buffer.data[buffer.count + i], &trial->spare, sizeof(real));
    }
}

void trial_release(struct trial *trial) {
    check_slack(trial);
    for (int b = 0; b < trial->buffer_count; b++)
        free(trial->buffers[b].data);
}

void trial_forward(struct trial *trial) {
    if (trial->shape->kernel == 1) {
        assert_int_equal(pointwise_prepare(&trial->convolution), STATUS_OK);
        assert_int_equal(pointwise_forward(&trial->convolution, &trial->slice), STATUS_OK);
    } else {
        assert_int_equal(dense_prepare(&trial->convolution), STATUS_OK);
        assert_int_equal(dense_forward(&trial->convolution, &trial->slice), STATUS_OK);
    }
}

void trial_backward(struct trial *trial) {
    if (trial->shape->kernel == 1)
        assert_int_equal(pointwise_backward(&trial->convolution, &trial->slice), STATUS_OK);
    else
        assert_int_equal(dense_backward(&trial->convolution, &trial->slice), STATUS_OK);
}

static void assert_near(double got, struct number want) {
    double epsilon = sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON;
    /* Rounding errors grow with the root of the number of terms, of which there are a few thousand
     * at most: 64 is beyond it. */
    double error = fabs(got - want.value), most = 64 * epsilon * want.size;
    if (!(error <= most))
        fail_msg("%.9g is not %.9g: off by %.3g, at most %.3g", got, want.value, error, most);
}

static void add_term(struct number *sum, double value, double size) {
    sum->value += value;
    sum->size += size;
}

/* One connection of the convolution: which weight joins which pixels. */
struct connection {
    int input_pixel, tap;
};

static int kept_kernel(const struct trial *trial, const struct segment *segment) {
    return trial->shape->kernel == 1 ? 1 : trial->shape->kernels[segment->group];
}

/* The t-th kept tap of an output pixel; 0 if it lies in the padding. */
static int connect(const struct trial *trial, const struct segment *segment, int output_pixel,
                   int t, struct connection *connection) {
    const struct tensor *input = &trial->input, *output = &trial->convolution.output;
    int kernel = kept_kernel(trial, segment), full = trial->shape->kernel;
    int area = output->height * output->width, image = output_pixel / area;
    int from_centre_y = t / kernel - kernel / 2, from_centre_x = t % kernel - kernel / 2;
    int y = output_pixel % area / output->width * trial->convolution.stride + from_centre_y;
    int x = output_pixel % output->width * trial->convolution.stride + from_centre_x;
    connection->tap = (full / 2 + from_centre_y) * full + full / 2 + from_centre_x;
    connection->input_pixel = (image * input->height + y) * input->width + x;
    return y >= 0 && y < input->height && x >= 0 && x < input->width;
}

static struct number naive_output(const struct trial *trial, const struct segment *segment,
                                  int pixel, int output) {
    struct number sum = {0, 0};
    int kernel = kept_kernel(trial, segment);
    for (int t = 0; t < kernel * kernel; t++) {
        struct connection connection;
        if (!connect(trial, segment, pixel, t, &connection))
            continue;
        for (int i = 0; i < tensor_kept(&trial->input, segment); i++) {
            double slope, w = *trial_weight(trial, trial->parameters, output, i, connection.tap);
            struct number a = seen(trial, segment, connection.input_pixel, i, &slope);
            add_term(&sum, w * a.value, fabs(w) * a.size);
        }
    }
    if (trial->shape->bias) {
        double bias = *trial_bias(trial, trial->parameters, output);
        add_term(&sum, bias, fabs(bias));
    }
    return sum;
}

static void check_moments(const struct trial *trial, const struct segment *segment, int channel) {
    const struct batch_norm *norm = &trial->output_norm;
    const struct tensor *output = &trial->convolution.output;
    int count = trial_pixels(output, segment);
    struct number mean = {0, 0}, squares = {0, 0};
    double first = *trial_element(output, segment, 0, channel);
    for (int p = 0; p < count; p++) {
        double z = *trial_element(output, segment, p, channel);
        add_term(&mean, z / count, fabs(z) / count + fabs(first) / count);
    }
    for (int p = 0; p < count; p++) {
        double z = *trial_element(output, segment, p, channel);
        add_term(&squares, (z - mean.value) * (z - mean.value), (z - first) * (z - first));
    }
    const double *partial = norm->partial + (size_t)segment->index * 2 * norm->stride + channel;
    assert_near(partial[0], mean);
    assert_near(partial[norm->stride], squares);
    assert_true(norm->row_count[segment->index] == count);
}

void trial_check_forward(const struct trial *trial) {
    const struct tensor *output = &trial->convolution.output;
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        for (int c = 0; c < tensor_kept(output, segment); c++) {
            for (int p = 0; p < trial_pixels(output, segment); p++)
                assert_near(*trial_element(output, segment, p, c),
                            naive_output(trial, segment, p, c));
            if (trial->shape->output_norm)
                check_moments(trial, segment, c);
        }
        if (tensor_kept(output, segment) == 0)
            assert_true(trial->output_norm.row_count[s] == 0);
    }
}

static struct number output_slope(const struct trial *trial, const struct segment *segment,
                                  int pixel, int channel) {
    double dy = *trial_element(&trial->output_gradient, segment, pixel, channel);
    if (!trial->shape->output_norm)
        return (struct number){dy, fabs(dy)};
    const struct batch_norm *norm = &trial->output_norm;
    double z = *trial_element(&trial->convolution.output, segment, pixel, channel);
    int at = norm_domain(norm, segment) * norm->stride + channel;
    double y_term = norm->grad_y[at] * dy, z_term = norm->grad_z[at] * z;
    double one = norm->grad_one[at];
    return (struct number){y_term + z_term + one, fabs(y_term) + fabs(z_term) + fabs(one)};
}

/* Accumulators of one segment's input gradient and of all parameters' gradients. */
struct naive_gradients {
    struct number *input; /* [pixel][kept] */
    struct number *parameters;
};

static void naive_backward(const struct trial *trial, const struct segment *segment,
                           struct naive_gradients *into) {
    const struct tensor *output = &trial->convolution.output;
    int inputs = tensor_kept(&trial->input, segment), kernel = kept_kernel(trial, segment);
    for (int p = 0; p < trial_pixels(output, segment); p++) {
        for (int o = 0; o < tensor_kept(output, segment); o++) {
            struct number dz = output_slope(trial, segment, p, o);
            if (trial->shape->bias)
                add_term(&into->parameters[trial->convolution.bias_offset + o], dz.value, dz.size);
            for (int t = 0; t < kernel * kernel; t++) {
                struct connection to;
                if (!connect(trial, segment, p, t, &to))
                    continue;
                for (int i = 0; i < inputs; i++) {
                    double slope;
                    struct number a = seen(trial, segment, to.input_pixel, i, &slope);
                    real *weight = trial_weight(trial, trial->parameters, o, i, to.tap);
                    add_term(&into->parameters[weight - trial->parameters.data], dz.value * a.value,
                             dz.size * a.size);
                    add_term(&into->input[(size_t)to.input_pixel * inputs + i], dz.value * *weight,
                             dz.size * fabs((double)*weight));
                }
            }
        }
    }
}

/* From d loss / d a to what the view's gradient holds. */
static struct number through_view(const struct trial *trial, const struct segment *segment,
                                  int pixel, int channel, struct number da) {
    double slope;
    seen(trial, segment, pixel, channel, &slope);
    if (!trial->shape->gate)
        da = (struct number){da.value * slope, da.size * 2};
    return da;
}

static void check_input_gradient(const struct trial *trial, const struct trial *before,
                                 const struct segment *segment, const struct number *naive) {
    const struct tensor *gradient = &trial->input_gradient;
    const struct batch_norm *norm = &trial->input_norm;
    int kept = tensor_kept(&trial->input, segment), pixels = trial_pixels(gradient, segment);
    for (int c = 0; c < tensor_kept(gradient, segment); c++) {
        struct number first = {0, 0}, second = {0, 0};
        int row = norm_domain(norm, segment) * norm->stride + c;
        for (int p = 0; p < pixels; p++) {
            double old = *trial_element(&before->input_gradient, segment, p, c);
            double got = *trial_element(gradient, segment, p, c);
            if (c >= kept) {
                assert_true(got == old);
                continue;
            }
            struct number want = naive[(size_t)p * kept + c];
            want = through_view(trial, segment, p, c, want);
            if (trial->shape->accumulate)
                add_term(&want, old, fabs(old));
            assert_near(got, want);
            if (trial->shape->input_norm) {
                double x = *trial_element(&trial->input, segment, p, c);
                double deviation = x - norm->mean[row];
                add_term(&first, want.value, want.size);
                add_term(&second, want.value * deviation, want.size * (fabs(deviation) + 1));
            }
        }
        if (trial->shape->input_norm && !trial->shape->gate) {
            const double *partial = norm->partial + (size_t)segment->index * 2 * norm->stride + c;
            assert_near(partial[0], first);
            assert_near(partial[norm->stride], second);
            assert_true(norm->row_count[segment->index] == pixels);
        }
    }
}

void trial_check_backward(const struct trial *trial, const struct trial *before) {
    struct naive_gradients naive;
    naive.parameters = calloc(trial->gradient.count, sizeof *naive.parameters);
    assert_non_null(naive.parameters);
    for (int s = 0; s < TRIAL_GROUPS; s++) {
        const struct segment *segment = &trial->segments[s];
        if (tensor_kept(&trial->convolution.output, segment) == 0)
            continue;
        size_t count = (size_t)trial_pixels(&trial->input, segment) * trial->shape->inputs;
        naive.input = calloc(count, sizeof *naive.input);
        assert_non_null(naive.input);
        naive_backward(trial, segment, &naive);
        if (!trial->shape->no_gradient)
            check_input_gradient(trial, before, segment, naive.input);
        free(naive.input);
    }
    for (size_t i = 0; i < trial->gradient.count; i++)
        assert_near(trial->gradient.data[i], naive.parameters[i]);
    free(naive.parameters);
}
