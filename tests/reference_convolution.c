/* The three convolutions are one: a depthwise filter sees one input channel. */
#include "reference_convolution.h"
#include "reference.h"
#include "reference_view.h"

#include <stdlib.h>

/* One connection between an output pixel and an input pixel. */
struct connection {
    int pixel; /* of the input; -1: in the padding */
    int tap;   /* of the full kernel */
};

static int kept_kernel(const struct convolution *convolution, const struct segment *segment) {
    return convolution->kernel == 1 ? 1 : convolution->kernels[segment->group];
}

static struct connection connect(const struct convolution *convolution,
                                 const struct segment *segment, int pixel, int t) {
    const struct tensor *input = convolution->input.tensor, *output = &convolution->output;
    int kernel = kept_kernel(convolution, segment), full = convolution->kernel;
    int area = output->height * output->width, image = pixel / area;
    int up = t / kernel - kernel / 2, right = t % kernel - kernel / 2;
    int y = pixel % area / output->width * convolution->stride + up;
    int x = pixel % output->width * convolution->stride + right;
    int inside = y >= 0 && y < input->height && x >= 0 && x < input->width;
    return (struct connection){.pixel =
                                   inside ? (image * input->height + y) * input->width + x : -1,
                               .tap = (full / 2 + up) * full + full / 2 + right};
}

/* The input channels of filter o: [first, end), and the place of its weights. */
struct filter {
    int first, end;
    size_t weights;
};

static struct filter filter_of(const struct convolution *convolution, const struct segment *segment,
                               int o) {
    size_t taps = (size_t)convolution->kernel * convolution->kernel;
    if (convolution->kind == CONVOLUTION_DEPTHWISE)
        return (struct filter){.first = o, .end = o + 1, .weights = (size_t)o * taps};
    return (struct filter){.first = 0,
                           .end = tensor_kept(convolution->input.tensor, segment),
                           .weights = (size_t)o * convolution->input.tensor->channels * taps};
}

static size_t weight_at(const struct convolution *convolution, const struct filter *filter, int i,
                        int tap) {
    size_t taps = (size_t)convolution->kernel * convolution->kernel;
    return filter->weights + (size_t)(i - filter->first) * taps + (size_t)tap;
}

static double output_value(const struct convolution *convolution, const struct segment *segment,
                           int pixel, int o) {
    struct filter filter = filter_of(convolution, segment, o);
    int kernel = kept_kernel(convolution, segment);
    double sum = convolution->bias ? (double)convolution->bias[o] : 0;
    for (int t = 0; t < kernel * kernel; t++) {
        struct connection to = connect(convolution, segment, pixel, t);
        for (int i = filter.first; i < filter.end && to.pixel >= 0; i++)
            sum += (double)convolution->weight[weight_at(convolution, &filter, i, to.tap)] *
                   seen(&convolution->input, segment, to.pixel, i);
    }
    return sum;
}

enum status reference_convolution_forward(const struct convolution *convolution,
                                          const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        int kept = tensor_kept(&convolution->output, segment);
        for (int p = 0; p < pixel_count(&convolution->output, segment); p++)
            for (int o = 0; o < kept; o++)
                *element(&convolution->output, segment, p, o) =
                    (real)output_value(convolution, segment, p, o);
        if (convolution->norm && convolution->norm->mode != NORM_FIXED)
            reference_moments(convolution->norm, &convolution->output, segment);
    }
    return STATUS_OK;
}

static double output_gradient(const struct convolution *convolution, const struct segment *segment,
                              int pixel, int o) {
    const struct batch_norm *norm = convolution->norm;
    double dy = *element(convolution->output_gradient, segment, pixel, o);
    if (norm == NULL)
        return dy;
    int row = norm_domain(norm, segment) * norm->stride + o;
    double z = *element(&convolution->output, segment, pixel, o);
    return (double)norm->grad_y[row] * dy + (double)norm->grad_z[row] * z +
           (double)norm->grad_one[row];
}

/* Adds what one output element sends back, to da [pixel][kept], dw and db. */
static void send_back(const struct convolution *convolution, const struct segment *segment,
                      int pixel, int o, double *da, double *dw, double *db) {
    const struct view *input = &convolution->input;
    struct filter filter = filter_of(convolution, segment, o);
    int kernel = kept_kernel(convolution, segment), kept = tensor_kept(input->tensor, segment);
    double dz = output_gradient(convolution, segment, pixel, o);
    db[o] += dz;
    for (int t = 0; t < kernel * kernel; t++) {
        struct connection to = connect(convolution, segment, pixel, t);
        for (int i = filter.first; i < filter.end && to.pixel >= 0; i++) {
            size_t at = weight_at(convolution, &filter, i, to.tap);
            da[(size_t)to.pixel * kept + i] += dz * (double)convolution->weight[at];
            dw[at] += dz * seen(input, segment, to.pixel, i);
        }
    }
}

static void backward_segment(const struct convolution *convolution, const struct segment *segment,
                             double *dw, double *db) {
    const struct view *input = &convolution->input;
    int kept = tensor_kept(input->tensor, segment);
    double *da = zeros((size_t)pixel_count(input->tensor, segment) * kept);
    for (int p = 0; p < pixel_count(&convolution->output, segment); p++)
        for (int o = 0; o < tensor_kept(&convolution->output, segment); o++)
            send_back(convolution, segment, p, o, da, dw, db);
    if (input->gradient)
        leave_gradient(input, segment, da);
    free(da);
}

enum status reference_convolution_backward(const struct convolution *convolution,
                                           const struct slice *slice) {
    int outputs = convolution->output.channels;
    int inputs =
        convolution->kind == CONVOLUTION_DEPTHWISE ? 1 : convolution->input.tensor->channels;
    size_t weights = (size_t)outputs * inputs * convolution->kernel * convolution->kernel;
    double *dw = zeros(weights), *db = zeros(outputs);
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        if (tensor_kept(&convolution->output, segment) > 0)
            backward_segment(convolution, segment, dw, db);
        else if (convolution->input.gradient && convolution->input.gate == NULL)
            leave_nothing(convolution->input.norm, segment);
    }
    for (size_t i = 0; i < weights; i++)
        slice->gradient[convolution->weight_offset + i] += (real)dw[i];
    for (int o = 0; o < outputs && convolution->bias; o++)
        slice->gradient[convolution->bias_offset + o] += (real)db[o];
    free(dw);
    free(db);
    return STATUS_OK;
}
