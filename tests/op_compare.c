/* Compares two trials of the same case. */
#include "op_trial.h"

#include <float.h>
#include <math.h>
#include <string.h>

static int same_bits(const struct op_buffer *a, const struct op_buffer *b, size_t index) {
    size_t size = op_element_size(a->element);
    return memcmp((const char *)a->data + index * size, (const char *)b->data + index * size,
                  size) == 0;
}

/* A value that both trials have, each at its place; they differ unless both are the same number or
 * nobody wrote them. */
static int differ(const struct op_trial *a, const struct op_buffer *of_a, const struct op_trial *b,
                  const struct op_buffer *of_b, size_t value) {
    size_t in_a = of_a->values[value], in_b = of_b->values[value];
    return op_element(of_a, in_a) != op_element(of_b, in_b) &&
           !(op_is_spare(&a->memory, of_a, in_a) && op_is_spare(&b->memory, of_b, in_b));
}

void op_trial_copy(struct op_trial *to, const struct op_trial *from) {
    for (int i = 0; i < from->memory.count; i++) {
        const struct op_buffer *source = &from->memory.buffers[i];
        struct op_buffer *target = &to->memory.buffers[i];
        for (size_t k = 0; k < source->value_count; k++)
            op_set(target, target->values[k], op_element(source, source->values[k]));
    }
}

/* Of values [first, end). */
static double root_mean_square(const struct op_buffer *buffer, size_t first, size_t end) {
    double sum = 0;
    size_t count = 0;
    for (size_t k = first; k < end; k++) {
        double value = op_element(buffer, buffer->values[k]);
        if (isfinite(value)) {
            sum += value * value;
            count++;
        }
    }
    return count ? sqrt(sum / (double)count) : 0;
}

/* Operations that never see an activation, and losses, are as exact as with float activations. */
static double unit_of(const struct op_trial *trial, const struct op_buffer *buffer) {
    enum op_kind kind = trial->test->kind;
    int is_exact = kind == OP_BATCH_NORM || kind >= OP_ADD ||
                   (kind == OP_LOSS && buffer->element != ELEMENT_BF16);
    if (trial->layout.activation == ELEMENT_BF16 && !is_exact)
        return 8.0 / 256;
    return 64 * (sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON);
}

static void keep_worse(struct op_difference *worst, const struct op_buffer *buffer, size_t index,
                       double a, double b, double limit) {
    double share = fabs(a - b) / limit;
    if (!(share <= worst->share))
        *worst = (struct op_difference){isnan(share) ? INFINITY : share, buffer->name, index, a, b};
}

static void compare_values(struct op_difference *worst, const struct op_trial *a,
                           const struct op_buffer *of_a, const struct op_trial *b,
                           const struct op_buffer *of_b, size_t first, size_t end) {
    double size = root_mean_square(of_b, first, end), unit = unit_of(a, of_a);
    for (size_t k = first; k < end; k++) {
        if (!differ(a, of_a, b, of_b, k))
            continue;
        double x = op_element(of_a, of_a->values[k]), y = op_element(of_b, of_b->values[k]);
        keep_worse(worst, of_a, of_a->values[k], x, y, unit * (fabs(y) + size));
    }
}

static void compare_buffers(struct op_difference *worst, const struct op_trial *a,
                            const struct op_buffer *of_a, const struct op_trial *b,
                            const struct op_buffer *of_b) {
    size_t first = 0;
    for (int run = 0; run < of_a->run_count; first = of_a->runs[run++])
        compare_values(worst, a, of_a, b, of_b, first, of_a->runs[run]);
    compare_values(worst, a, of_a, b, of_b, first, of_a->value_count);
}

/* ------------------------------------------------------------------ partial sums */

/* The partial sums of a batch-norm, and whether they are those of a forward. */
struct partials {
    const struct op_trial *trial;
    const struct batch_norm *norm;
    const struct op_buffer *sums, *counts;
    const int *kept;
    int is_forward;
};

static struct partials partials_of(const struct op_trial *trial, int is_forward) {
    struct op_memory *memory = (struct op_memory *)&trial->memory;
    const struct batch_norm *norm = is_forward ? &trial->output_norm : &trial->input_norm;
    return (struct partials){.trial = trial,
                             .norm = norm,
                             .sums = op_find(memory, norm->partial),
                             .counts = op_find(memory, norm->row_count),
                             .kept = is_forward ? trial->output.kept : trial->input.kept,
                             .is_forward = is_forward};
}

static int is_written(const struct partials *partials, const struct segment *segment) {
    for (int part = 0; part < partials->norm->parts; part++)
        if (!op_is_spare(&partials->trial->memory, partials->counts,
                         op_row(partials->norm, segment, part)))
            return 1;
    return 0;
}

static double count_of(const struct partials *partials, const struct segment *segment, int part) {
    return op_element(partials->counts, op_row(partials->norm, segment, part));
}

static double pixels_of(const struct partials *partials, const struct segment *segment) {
    double pixels = 0;
    for (int part = 0; part < partials->norm->parts; part++)
        pixels += count_of(partials, segment, part);
    return pixels;
}

static double part_of(const struct partials *partials, const struct segment *segment, int part,
                      int which, int channel) {
    return op_element(partials->sums, op_partial(partials->norm, segment, part, which, channel));
}

/* Over all parts. backward: sums; forward: mean, then squared deviations about that mean. */
static double whole(const struct partials *partials, const struct segment *segment, int which,
                    int channel) {
    double sum = 0;
    int is_mean = partials->is_forward && which == 0;
    double mean = partials->is_forward && which == 1 ? whole(partials, segment, 0, channel) : 0;
    for (int part = 0; part < partials->norm->parts; part++) {
        double count = count_of(partials, segment, part);
        if (count == 0)
            continue;
        double value = part_of(partials, segment, part, which, channel);
        sum += is_mean ? count * value : value;
        if (partials->is_forward && which == 1)
            sum += count * pow(part_of(partials, segment, part, 0, channel) - mean, 2);
    }
    return is_mean ? sum / pixels_of(partials, segment) : sum;
}

static double size_of(const struct partials *partials, const struct segment *segment, int which) {
    double sum = 0;
    int kept = partials->kept[segment->group];
    for (int c = 0; c < kept; c++)
        sum += pow(whole(partials, segment, which, c), 2);
    return kept > 0 ? sqrt(sum / kept) : 0;
}

/* A part without pixels leaves its sums as they were. */
static void check_empty_parts(struct op_difference *worst, const struct partials *partials,
                              const struct segment *segment) {
    for (int part = 0; part < partials->norm->parts; part++)
        for (int which = 0; which < 2 && count_of(partials, segment, part) == 0; which++)
            for (int c = 0; c < partials->kept[segment->group]; c++) {
                size_t at = op_partial(partials->norm, segment, part, which, c);
                if (!op_is_spare(&partials->trial->memory, partials->sums, at))
                    keep_worse(worst, partials->sums, at, op_element(partials->sums, at), NAN, 1);
            }
}

static void compare_partials(struct op_difference *worst, const struct partials *a,
                             const struct partials *b) {
    double unit = unit_of(a->trial, a->sums);
    for (int s = 0; s < a->trial->segment_count; s++) {
        const struct segment *segment = &a->trial->segments[s];
        if (!is_written(a, segment) && !is_written(b, segment))
            continue;
        double pixels = pixels_of(a, segment), wanted = pixels_of(b, segment);
        if (pixels != wanted)
            keep_worse(worst, a->counts, op_row(a->norm, segment, 0), pixels, wanted, DBL_MIN);
        check_empty_parts(worst, a, segment);
        for (int which = 0; which < 2 && pixels > 0 && pixels == wanted; which++) {
            double size = size_of(b, segment, which);
            for (int c = 0; c < a->kept[segment->group]; c++) {
                double x = whole(a, segment, which, c), y = whole(b, segment, which, c);
                keep_worse(worst, a->sums, op_partial(a->norm, segment, 0, which, c), x, y,
                           unit * (fabs(y) + size) + DBL_MIN);
            }
        }
    }
}

/* Partial sums that the operation has written, or would write: not the same parts of the pixels in
 * all backends. */
static int has_partials(const struct op_trial *trial, const struct batch_norm *norm) {
    return trial->test->kind != OP_BATCH_NORM && norm->partial && norm->mode != NORM_FIXED;
}

static int is_partial(const struct op_trial *trial, const struct op_buffer *buffer) {
    const struct batch_norm *norms[] = {&trial->input_norm, &trial->output_norm};
    for (int i = 0; i < 2; i++)
        if (has_partials(trial, norms[i]) &&
            (buffer->data == norms[i]->partial || buffer->data == norms[i]->row_count))
            return 1;
    return 0;
}

struct op_difference op_trial_compare(const struct op_trial *a, const struct op_trial *b) {
    struct op_difference worst = {0};
    for (int k = 0; k < a->memory.count; k++)
        if (!is_partial(a, &a->memory.buffers[k]))
            compare_buffers(&worst, a, &a->memory.buffers[k], b, &b->memory.buffers[k]);
    for (int is_forward = 0; is_forward < 2; is_forward++)
        if (has_partials(a, is_forward ? &a->output_norm : &a->input_norm)) {
            struct partials of_a = partials_of(a, is_forward), of_b = partials_of(b, is_forward);
            compare_partials(&worst, &of_a, &of_b);
        }
    return worst;
}

const char *op_trial_compare_bits(const struct op_trial *a, const struct op_trial *b) {
    for (int k = 0; k < a->memory.count; k++) {
        const struct op_buffer *of_a = &a->memory.buffers[k], *of_b = &b->memory.buffers[k];
        for (size_t i = 0; i < of_a->count; i++)
            if (of_a->worth[i] && !same_bits(of_a, of_b, i) &&
                !(op_is_spare(&a->memory, of_a, i) && op_is_spare(&b->memory, of_b, i)))
                return of_a->name;
    }
    return NULL;
}
