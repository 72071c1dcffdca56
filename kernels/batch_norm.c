/* Batch-norm's rows from what the segments have left behind. Sums over segments are in double and
 * in segment order: the result does not depend on who computed which segment. */
#include "cpu.h"
#include "vector.h"

#include <math.h>
#include <string.h>

enum { MOST_CHANNELS = 4096 };

static const double *partial_of(const struct batch_norm *norm, const struct segment *segment,
                                int which) {
    return norm->partial + ((size_t)segment->index * 2 + which) * norm->stride;
}

static int counts(const struct batch_norm *norm, const struct tensor *z,
                  const struct segment *segment, int domain) {
    return norm_domain(norm, segment) == domain && tensor_kept(z, segment) > 0 &&
           norm->row_count[segment->index] > 0;
}

/* Pixels of the domain that keep each channel. */
static int domain_rows(const struct batch_norm *norm, const struct tensor *z,
                       const struct slice *slice, int domain, double *rows) {
    int kept = 0;
    memset(rows, 0, (size_t)norm->channels * sizeof *rows);
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (!counts(norm, z, segment, domain))
            continue;
        int channels = tensor_kept(z, segment);
        double n = norm->row_count[segment->index];
        for (int c = 0; c < channels; c++)
            rows[c] += n;
        if (channels > kept)
            kept = channels;
    }
    return kept;
}

/* mean = sum n_i mean_i / n;  squared deviations = sum (M_i + n_i (mean_i - mean)^2)  [Chan et
 * al.]. */
static void domain_moments(const struct batch_norm *norm, const struct tensor *z,
                           const struct slice *slice, int domain, const double *rows, int kept,
                           double *mean, double *squares) {
    memset(mean, 0, (size_t)kept * sizeof *mean);
    memset(squares, 0, (size_t)kept * sizeof *squares);
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (!counts(norm, z, segment, domain))
            continue;
        const double *part = partial_of(norm, segment, 0);
        double n = norm->row_count[segment->index];
        for (int c = 0; c < tensor_kept(z, segment); c++)
            mean[c] += n * part[c];
    }
    for (int c = 0; c < kept; c++)
        mean[c] /= rows[c];
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (!counts(norm, z, segment, domain))
            continue;
        const double *part = partial_of(norm, segment, 0), *more = partial_of(norm, segment, 1);
        double n = norm->row_count[segment->index];
        for (int c = 0; c < tensor_kept(z, segment); c++)
            squares[c] += more[c] + n * (part[c] - mean[c]) * (part[c] - mean[c]);
    }
}

static void scale_and_shift(const struct batch_norm *norm, size_t row, int channels) {
    for (int c = 0; c < channels; c++) {
        double inverse = 1 / sqrt((double)norm->variance[row + c] + (double)norm->epsilon);
        norm->scale[row + c] = (real)((double)norm->weight[c] * inverse);
        norm->shift[row + c] = norm->bias[c] - norm->mean[row + c] * norm->scale[row + c];
    }
}

/* A channel that nobody keeps has no statistics; its row is zero, not undefined. */
static void clear_row(real *row, int from, int stride) {
    memset(row + from, 0, (size_t)(stride - from) * sizeof *row);
}

static void forward_domain(const struct batch_norm *norm, const struct tensor *z,
                           const struct slice *slice, int domain) {
    double rows[MOST_CHANNELS], mean[MOST_CHANNELS], squares[MOST_CHANNELS];
    int kept = domain_rows(norm, z, slice, domain, rows);
    size_t row = (size_t)domain * norm->stride;
    domain_moments(norm, z, slice, domain, rows, kept, mean, squares);
    for (int c = 0; c < kept; c++) {
        norm->mean[row + c] = (real)mean[c];
        norm->variance[row + c] = (real)(squares[c] / rows[c]);
    }
    scale_and_shift(norm, row, kept);
    clear_row(norm->mean + row, kept, norm->stride);
    clear_row(norm->variance + row, kept, norm->stride);
    clear_row(norm->scale + row, kept, norm->stride);
    clear_row(norm->shift + row, kept, norm->stride);
}

/* s1 = sum dy, s2 = sum dy zhat over the domain;
 * dz = scale (dy - s1 / n - zhat s2 / n), written as grad_y dy + grad_z z + grad_one. */
static void backward_domain(const struct batch_norm *norm, const struct tensor *z,
                            const struct slice *slice, int domain) {
    double rows[MOST_CHANNELS], first[MOST_CHANNELS] = {0}, second[MOST_CHANNELS] = {0};
    int kept = domain_rows(norm, z, slice, domain, rows);
    size_t row = (size_t)domain * norm->stride;
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        if (!counts(norm, z, segment, domain))
            continue;
        const double *dy = partial_of(norm, segment, 0), *dy_z = partial_of(norm, segment, 1);
        for (int c = 0; c < tensor_kept(z, segment); c++) {
            first[c] += dy[c];
            second[c] += dy_z[c];
        }
    }
    for (int c = 0; c < kept; c++) {
        double inverse = 1 / sqrt((double)norm->variance[row + c] + (double)norm->epsilon);
        double scale = (double)norm->weight[c] * inverse, dy_zhat = inverse * second[c];
        double through_z = -scale * inverse * dy_zhat / rows[c];
        norm->grad_y[row + c] = (real)scale;
        norm->grad_z[row + c] = (real)through_z;
        norm->grad_one[row + c] =
            (real)(-scale * first[c] / rows[c] - through_z * (double)norm->mean[row + c]);
        slice->gradient[norm->weight_offset + c] += (real)dy_zhat;
        slice->gradient[norm->bias_offset + c] += (real)first[c];
    }
    clear_row(norm->grad_y + row, kept, norm->stride);
    clear_row(norm->grad_z + row, kept, norm->stride);
    clear_row(norm->grad_one + row, kept, norm->stride);
}

/* Each domain of the slice once: a group's segments follow each other. */
static void each_domain(const struct batch_norm *norm, const struct tensor *z,
                        const struct slice *slice,
                        void (*visit)(const struct batch_norm *, const struct tensor *,
                                      const struct slice *, int domain)) {
    int before = -1;
    for (int i = 0; i < slice->count; i++) {
        int domain = norm_domain(norm, &slice->segments[i]);
        if (domain != before)
            visit(norm, z, slice, domain);
        before = domain;
    }
}

enum status batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                               const struct slice *slice) {
    if (norm->channels > MOST_CHANNELS)
        return fail(STATUS_USAGE, "a batch-norm of %d channels is more than %d", norm->channels,
                    MOST_CHANNELS);
    if (norm->mode == NORM_FIXED)
        scale_and_shift(norm, 0, norm->channels);
    else
        each_domain(norm, z, slice, forward_domain);
    return STATUS_OK;
}

enum status batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                const struct slice *slice) {
    each_domain(norm, z, slice, backward_domain);
    return STATUS_OK;
}
