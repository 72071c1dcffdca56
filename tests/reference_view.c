#include "reference_view.h"
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int pixel_count(const struct tensor *tensor, const struct segment *segment) {
    return segment->images * tensor->height * tensor->width;
}

real *element(const struct tensor *tensor, const struct segment *segment, int pixel, int channel) {
    return tensor_segment(tensor, segment) + (size_t)pixel * tensor_ld(tensor, segment) + channel;
}

double *zeros(size_t count) {
    double *memory = calloc(count + 1, sizeof *memory);
    if (memory == NULL) {
        fputs("no memory for the reference\n", stderr);
        exit(1);
    }
    return memory;
}

double reference_activation(enum activation activation, double y, double *slope) {
    double ramp = fmin(fmax(y + 3, 0), 6) / 6, ramp_slope = y > -3 && y < 3 ? 1.0 / 6 : 0;
    switch (activation) {
    case ACTIVATION_NONE:
        *slope = 1;
        return y;
    case ACTIVATION_RELU:
        *slope = y > 0;
        return fmax(y, 0);
    case ACTIVATION_RELU6:
        *slope = y > 0 && y < 6;
        return fmin(fmax(y, 0), 6);
    case ACTIVATION_HARD_SWISH:
        *slope = ramp + y * ramp_slope;
        return y * ramp;
    case ACTIVATION_HARD_SIGMOID:
        *slope = ramp_slope;
        return ramp;
    }
    abort();
}

double normalised(const struct view *view, const struct segment *segment, int pixel, int channel) {
    const struct batch_norm *norm = view->norm;
    double z = *element(view->tensor, segment, pixel, channel);
    if (norm == NULL)
        return z;
    int row = norm_domain(norm, segment) * norm->stride + channel;
    return (double)norm->scale[row] * z + (double)norm->shift[row];
}

double activated(const struct view *view, const struct segment *segment, int pixel, int channel) {
    double slope;
    return reference_activation(view->activation, normalised(view, segment, pixel, channel),
                                &slope);
}

double seen(const struct view *view, const struct segment *segment, int pixel, int channel) {
    double a = activated(view, segment, pixel, channel);
    int image = pixel / (view->tensor->height * view->tensor->width);
    return view->gate ? a * (double)*element(view->gate, segment, image, channel) : a;
}

/* The reference puts everything into the first part of a segment. */
static double *partial(const struct batch_norm *norm, const struct segment *segment, int which) {
    return norm->partial + ((size_t)segment->index * norm->parts * 2 + which) * norm->stride;
}

static void set_count(const struct batch_norm *norm, const struct segment *segment, int count) {
    for (int part = 0; part < norm->parts; part++)
        norm->row_count[(size_t)segment->index * norm->parts + part] = part == 0 ? count : 0;
}

void reference_moments(const struct batch_norm *norm, const struct tensor *z,
                       const struct segment *segment) {
    int count = pixel_count(z, segment), kept = tensor_kept(z, segment);
    set_count(norm, segment, kept ? count : 0);
    for (int c = 0; c < kept; c++) {
        double mean = 0, squares = 0;
        for (int p = 0; p < count; p++)
            mean += (double)*element(z, segment, p, c) / count;
        for (int p = 0; p < count; p++)
            squares += pow((double)*element(z, segment, p, c) - mean, 2);
        partial(norm, segment, 0)[c] = mean;
        partial(norm, segment, 1)[c] = squares;
    }
}

void leave_nothing(const struct batch_norm *norm, const struct segment *segment) {
    if (norm && norm->mode != NORM_FIXED)
        set_count(norm, segment, 0);
}

void leave_ungated_gradient(const struct view *view, const struct segment *segment,
                            const double *da) {
    const struct batch_norm *norm = view->norm;
    int count = pixel_count(view->tensor, segment), kept = tensor_kept(view->tensor, segment);
    for (int c = 0; c < kept; c++) {
        double first = 0, second = 0;
        for (int p = 0; p < count; p++) {
            double slope, z = *element(view->tensor, segment, p, c);
            reference_activation(view->activation, normalised(view, segment, p, c), &slope);
            double dy = da[(size_t)p * kept + c] * slope;
            first += dy;
            if (norm)
                second +=
                    dy * (z - (double)norm->mean[norm_domain(norm, segment) * norm->stride + c]);
            real *into = element(view->gradient, segment, p, c);
            *into = (real)(view->accumulate ? (double)*into + dy : dy);
        }
        if (norm) {
            partial(norm, segment, 0)[c] = first;
            partial(norm, segment, 1)[c] = second;
        }
    }
    if (norm)
        set_count(norm, segment, kept ? count : 0);
}

void leave_gradient(const struct view *view, const struct segment *segment, const double *da) {
    int kept = tensor_kept(view->tensor, segment);
    if (view->gate == NULL) {
        leave_ungated_gradient(view, segment, da);
        return;
    }
    for (int p = 0; p < pixel_count(view->tensor, segment); p++)
        for (int c = 0; c < kept; c++)
            *element(view->gradient, segment, p, c) = (real)da[(size_t)p * kept + c];
}
