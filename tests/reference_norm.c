/* Batch-norm and combine. */
#include "reference_norm.h"
#include "reference_view.h"

#include <math.h>
#include <stdlib.h>

/* One part of a segment. */
struct part {
    const struct segment *segment;
    int index; /* of all parts of the batch: its row */
};

static struct part part_of(const struct batch_norm *norm, const struct slice *slice, int i) {
    const struct segment *segment = &slice->segments[i / norm->parts];
    return (struct part){segment, segment->index * norm->parts + i % norm->parts};
}

static int part_count(const struct batch_norm *norm, const struct slice *slice) {
    return slice->count * norm->parts;
}

static double partial(const struct batch_norm *norm, struct part part, int which, int channel) {
    return norm->partial[((size_t)part.index * 2 + which) * norm->stride + channel];
}

/* Pixels that the part adds to the statistics of the channel in the domain. */
static double counted(const struct batch_norm *norm, const struct tensor *z, struct part part,
                      int domain, int channel) {
    if (norm_domain(norm, part.segment) != domain || channel >= tensor_kept(z, part.segment))
        return 0;
    return norm->row_count[part.index];
}

/* Sum of a partial over the domain's parts. */
static double total(const struct batch_norm *norm, const struct tensor *z,
                    const struct slice *slice, int domain, int channel, int which) {
    double sum = 0;
    for (int i = 0; i < part_count(norm, slice); i++) {
        struct part part = part_of(norm, slice, i);
        if (counted(norm, z, part, domain, channel) > 0)
            sum += partial(norm, part, which, channel);
    }
    return sum;
}

static double pixels(const struct batch_norm *norm, const struct tensor *z,
                     const struct slice *slice, int domain, int channel) {
    double sum = 0;
    for (int i = 0; i < part_count(norm, slice); i++)
        sum += counted(norm, z, part_of(norm, slice, i), domain, channel);
    return sum;
}

/* Channels with a row in the domain. */
static int channels_of(const struct batch_norm *norm, const struct tensor *z, int domain) {
    return norm->mode == NORM_PER_GROUP ? z->kept[domain] : norm->channels;
}

static int has_domain(const struct batch_norm *norm, const struct slice *slice, int domain) {
    for (int s = 0; s < slice->count; s++)
        if (norm_domain(norm, &slice->segments[s]) == domain)
            return 1;
    return 0;
}

static int domains(const struct slice *slice) {
    int most = 0;
    for (int s = 0; s < slice->count; s++)
        most = slice->segments[s].group > most ? slice->segments[s].group : most;
    return most + 1;
}

static void statistics(const struct batch_norm *norm, const struct tensor *z,
                       const struct slice *slice, int domain, int c) {
    size_t row = (size_t)domain * norm->stride + c;
    double n = pixels(norm, z, slice, domain, c), mean = 0, squares = 0;
    for (int i = 0; i < part_count(norm, slice); i++) {
        struct part part = part_of(norm, slice, i);
        double count = counted(norm, z, part, domain, c);
        if (count > 0)
            mean += count / n * partial(norm, part, 0, c);
    }
    for (int i = 0; i < part_count(norm, slice); i++) {
        struct part part = part_of(norm, slice, i);
        double count = counted(norm, z, part, domain, c);
        if (count > 0)
            squares += partial(norm, part, 1, c) + count * pow(partial(norm, part, 0, c) - mean, 2);
    }
    double variance = n > 0 ? squares / n : 0;
    double scale = n > 0 ? (double)norm->weight[c] / sqrt(variance + (double)norm->epsilon) : 0;
    norm->mean[row] = (real)mean;
    norm->variance[row] = (real)variance;
    norm->scale[row] = (real)scale;
    norm->shift[row] = n > 0 ? (real)((double)norm->bias[c] - mean * scale) : 0;
}

static void given_statistics(const struct batch_norm *norm, int domain, int c) {
    size_t row = (size_t)domain * norm->stride + c;
    double scale =
        (double)norm->weight[c] / sqrt((double)norm->variance[row] + (double)norm->epsilon);
    norm->scale[row] = (real)scale;
    norm->shift[row] = (real)((double)norm->bias[c] - (double)norm->mean[row] * scale);
}

enum status reference_batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                                         const struct slice *slice) {
    for (int domain = 0; domain < domains(slice); domain++) {
        for (int c = 0; has_domain(norm, slice, domain) && c < channels_of(norm, z, domain); c++) {
            if (norm->mode == NORM_FIXED)
                given_statistics(norm, domain, c);
            else
                statistics(norm, z, slice, domain, c);
        }
    }
    return STATUS_OK;
}

/* With zhat = (z - mean) / deviation:  dz = scale (dy - mean(dy) - zhat mean(dy zhat)). */
static void gradients(const struct batch_norm *norm, const struct tensor *z,
                      const struct slice *slice, int domain, int c) {
    size_t row = (size_t)domain * norm->stride + c;
    double n = pixels(norm, z, slice, domain, c);
    norm->grad_y[row] = norm->grad_z[row] = norm->grad_one[row] = 0;
    if (n == 0)
        return;
    double deviation = sqrt((double)norm->variance[row] + (double)norm->epsilon);
    double scale = (double)norm->weight[c] / deviation;
    double dy = total(norm, z, slice, domain, c, 0);
    double dy_zhat = total(norm, z, slice, domain, c, 1) / deviation;
    norm->grad_y[row] = (real)scale;
    norm->grad_z[row] = (real)(-scale * dy_zhat / n / deviation);
    norm->grad_one[row] =
        (real)(-scale * dy / n + scale * dy_zhat / n * (double)norm->mean[row] / deviation);
    slice->gradient[norm->weight_offset + c] += (real)dy_zhat;
    slice->gradient[norm->bias_offset + c] += (real)dy;
}

enum status reference_batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                          const struct slice *slice) {
    for (int domain = 0; domain < domains(slice); domain++)
        for (int c = 0; has_domain(norm, slice, domain) && c < channels_of(norm, z, domain); c++)
            gradients(norm, z, slice, domain, c);
    return STATUS_OK;
}

/* Which pixels of the shortcut one pixel of the output reads: one, or up to 2 x 2. */
struct source {
    int count;
    int pixel[4];
};

static struct source source_of(const struct combine *combine, int pixel) {
    const struct tensor *output = &combine->output, *x = combine->shortcut.tensor;
    if (!combine->pool)
        return (struct source){.count = 1, .pixel = {pixel}};
    struct source source = {0};
    int area = output->height * output->width, image = pixel / area;
    int top = pixel % area / output->width * 2, left = pixel % output->width * 2;
    for (int y = top; y < top + 2 && y < x->height; y++)
        for (int column = left; column < left + 2 && column < x->width; column++)
            source.pixel[source.count++] = (image * x->height + y) * x->width + column;
    return source;
}

static int uses_shortcut(const struct combine *combine, const struct segment *segment, int i) {
    if (combine->shortcut.tensor == NULL)
        return 0;
    int in = tensor_kept(combine->shortcut.tensor, segment);
    int filters = tensor_kept(combine->main.tensor, segment);
    if (i >= in)
        return 0;
    return i < filters ? combine->residual : i < combine->bypass;
}

static double combined(const struct combine *combine, const struct segment *segment, int pixel,
                       int i) {
    double y = 0;
    if (i < tensor_kept(combine->main.tensor, segment))
        y = activated(&combine->main, segment, pixel, i);
    if (uses_shortcut(combine, segment, i)) {
        struct source source = source_of(combine, pixel);
        for (int k = 0; k < source.count; k++)
            y += (double)*element(combine->shortcut.tensor, segment, source.pixel[k], i) /
                 source.count;
    }
    return y;
}

enum status reference_combine_forward(const struct combine *combine, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int p = 0; p < pixel_count(&combine->output, segment); p++)
            for (int i = 0; i < tensor_kept(&combine->output, segment); i++)
                *element(&combine->output, segment, p, i) = (real)combined(combine, segment, p, i);
    }
    return STATUS_OK;
}

static void shortcut_backward(const struct combine *combine, const struct segment *segment) {
    const struct view *shortcut = &combine->shortcut;
    int in = tensor_kept(shortcut->tensor, segment);
    double *dx = zeros((size_t)pixel_count(shortcut->tensor, segment) * in);
    for (int p = 0; p < pixel_count(&combine->output, segment); p++) {
        struct source source = source_of(combine, p);
        for (int i = 0; i < in; i++)
            for (int k = 0; k < source.count && uses_shortcut(combine, segment, i); k++)
                dx[(size_t)source.pixel[k] * in + i] +=
                    (double)*element(combine->output_gradient, segment, p, i) / source.count;
    }
    leave_gradient(shortcut, segment, dx);
    free(dx);
}

static void main_backward(const struct combine *combine, const struct segment *segment) {
    int filters = tensor_kept(combine->main.tensor, segment);
    int count = pixel_count(&combine->output, segment);
    double *da = zeros((size_t)count * filters);
    for (int p = 0; p < count; p++)
        for (int i = 0; i < filters; i++)
            da[(size_t)p * filters + i] = *element(combine->output_gradient, segment, p, i);
    leave_gradient(&combine->main, segment, da);
    free(da);
}

enum status reference_combine_backward(const struct combine *combine, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        if (combine->shortcut.gradient)
            shortcut_backward(combine, segment);
        if (tensor_kept(combine->main.tensor, segment) > 0)
            main_backward(combine, segment);
        else
            leave_nothing(combine->main.norm, segment);
    }
    return STATUS_OK;
}
