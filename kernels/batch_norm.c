/* Batch-norm's rows from what the segments have left behind. Sums over segments are in double and
 * in segment order: the result does not depend on who computed which segment. */
#include "cpu.h"

#include <math.h>

/* Channels that are merged at a time: their sums stay on the stack. */
enum { BLOCK = 64 };

/* The segments that share statistics, and their row. */
struct domain {
    const struct segment *segments;
    int count;
    size_t row;
};

static struct domain next_domain(const struct batch_norm *norm, const struct slice *slice,
                                 int from) {
    struct domain domain = {.segments = slice->segments + from,
                            .row =
                                (size_t)norm_domain(norm, &slice->segments[from]) * norm->stride};
    while (from + domain.count < slice->count &&
           norm_domain(norm, &domain.segments[domain.count]) ==
               norm_domain(norm, &domain.segments[0]))
        domain.count++;
    return domain;
}

/* Channels of the block that the segment counts in: 0 where nothing stands behind its partials. */
static int counted(const struct batch_norm *norm, const struct tensor *z,
                   const struct segment *segment, int first) {
    int kept = tensor_kept(z, segment) - first;
    if (kept <= 0 || norm->row_count[segment->index] == 0)
        return 0;
    return kept < BLOCK ? kept : BLOCK;
}

static const double *partial_of(const struct batch_norm *norm, const struct segment *segment,
                                int which) {
    return norm->partial + ((size_t)segment->index * 2 + which) * norm->stride;
}

static double inverse_deviation(const struct batch_norm *norm, size_t at) {
    return 1 / sqrt((double)norm->variance[at] + (double)norm->epsilon);
}

static void set_scale(const struct batch_norm *norm, size_t row, int c) {
    double scale = (double)norm->weight[c] * inverse_deviation(norm, row + c);
    norm->scale[row + c] = (real)scale;
    norm->shift[row + c] = (real)((double)norm->bias[c] - (double)norm->mean[row + c] * scale);
}

struct moments {
    double count[BLOCK], mean[BLOCK], squares[BLOCK];
};

/* Two sets of n and m values merge without going back to them (Chan, Golub, LeVeque 1979). */
static void merge(struct moments *all, double n, const double *mean, const double *squares,
                  int channels) {
    for (int c = 0; c < channels; c++) {
        double total = all->count[c] + n, share = n / total, away = mean[c] - all->mean[c];
        all->mean[c] += away * share;
        all->squares[c] += squares[c] + away * away * all->count[c] * share;
        all->count[c] = total;
    }
}

/* A channel that nobody keeps has no statistics: its row is zero, so that all stays finite. */
static void forward_block(const struct batch_norm *norm, const struct tensor *z,
                          const struct domain *domain, int first) {
    struct moments all = {0};
    for (int s = 0; s < domain->count; s++) {
        const struct segment *segment = &domain->segments[s];
        merge(&all, norm->row_count[segment->index], partial_of(norm, segment, 0) + first,
              partial_of(norm, segment, 1) + first, counted(norm, z, segment, first));
    }
    for (int i = 0; i < BLOCK && first + i < norm->channels; i++) {
        size_t at = domain->row + first + i;
        norm->mean[at] = (real)all.mean[i];
        norm->variance[at] = all.count[i] > 0 ? (real)(all.squares[i] / all.count[i]) : 0;
        norm->scale[at] = norm->shift[at] = 0;
        if (all.count[i] > 0)
            set_scale(norm, domain->row, first + i);
    }
}

static void given_forward(const struct batch_norm *norm, const struct domain *domain) {
    for (int c = 0; c < norm->channels; c++)
        set_scale(norm, domain->row, c);
}

enum status batch_norm_forward(const struct batch_norm *norm, const struct tensor *z,
                               const struct slice *slice) {
    struct domain domain;
    for (int s = 0; s < slice->count; s += domain.count) {
        domain = next_domain(norm, slice, s);
        if (norm->mode == NORM_FIXED)
            given_forward(norm, &domain);
        for (int first = 0; norm->mode != NORM_FIXED && first < norm->channels; first += BLOCK)
            forward_block(norm, z, &domain, first);
    }
    return STATUS_OK;
}

struct gradient_sums {
    double count[BLOCK], dy[BLOCK], dy_z[BLOCK]; /* dy_z: of dy (z - mean) */
};

/* With zhat = (z - mean) / deviation, means over the domain, and scale = weight / deviation:
 *     dz = scale (dy - mean(dy) - zhat mean(dy zhat)) = grad_y dy + grad_z z + grad_one */
static void set_gradient(const struct batch_norm *norm, const struct gradient_sums *sums,
                         size_t row, int first, int i, real *gradient) {
    int c = first + i;
    size_t at = row + c;
    double n = sums->count[i], inverse = inverse_deviation(norm, at);
    double scale = (double)norm->weight[c] * inverse, dy_zhat = sums->dy_z[i] * inverse;
    double grad_z = -scale * inverse * dy_zhat / n;
    norm->grad_y[at] = (real)scale;
    norm->grad_z[at] = (real)grad_z;
    norm->grad_one[at] = (real)(-scale * sums->dy[i] / n - grad_z * (double)norm->mean[at]);
    gradient[norm->weight_offset + c] += (real)dy_zhat;
    gradient[norm->bias_offset + c] += (real)sums->dy[i];
}

static void backward_block(const struct batch_norm *norm, const struct tensor *z,
                           const struct domain *domain, int first, real *gradient) {
    struct gradient_sums sums = {0};
    for (int s = 0; s < domain->count; s++) {
        const struct segment *segment = &domain->segments[s];
        const double *dy = partial_of(norm, segment, 0) + first;
        const double *dy_z = partial_of(norm, segment, 1) + first;
        int channels = counted(norm, z, segment, first);
        for (int i = 0; i < channels; i++) {
            sums.count[i] += norm->row_count[segment->index];
            sums.dy[i] += dy[i];
            sums.dy_z[i] += dy_z[i];
        }
    }
    for (int i = 0; i < BLOCK && first + i < norm->channels; i++) {
        size_t at = domain->row + first + i;
        norm->grad_y[at] = norm->grad_z[at] = norm->grad_one[at] = 0;
        if (sums.count[i] > 0)
            set_gradient(norm, &sums, domain->row, first, i, gradient);
    }
}

enum status batch_norm_backward(const struct batch_norm *norm, const struct tensor *z,
                                const struct slice *slice) {
    struct domain domain;
    for (int s = 0; s < slice->count; s += domain.count) {
        domain = next_domain(norm, slice, s);
        for (int first = 0; first < norm->channels; first += BLOCK)
            backward_block(norm, z, &domain, first, slice->gradient);
    }
    return STATUS_OK;
}
