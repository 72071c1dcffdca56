#include "op_trial.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t bytes_of(const struct op_buffer *buffer) {
    static const size_t sizes[] = {[ELEMENT_REAL] = sizeof(real),
                                   [ELEMENT_DOUBLE] = sizeof(double),
                                   [ELEMENT_INT] = sizeof(int),
                                   [ELEMENT_BYTE] = 1};
    return sizes[buffer->element];
}

static int same_bits(const struct op_buffer *a, const struct op_buffer *b, size_t index) {
    size_t size = bytes_of(a);
    return memcmp((const char *)a->data + index * size, (const char *)b->data + index * size,
                  size) == 0;
}

static int is_spare(const struct op_memory *memory, const struct op_buffer *buffer, size_t index) {
    double value = op_element(buffer, index), spare = (double)(real)memory->spare;
    return value == spare || (isnan(value) && isnan(spare));
}

void op_trial_copy(struct op_trial *to, const struct op_trial *from) {
    for (int i = 0; i < from->memory.count; i++) {
        const struct op_buffer *source = &from->memory.buffers[i];
        struct op_buffer *target = &to->memory.buffers[i];
        if (source->count == target->count)
            memcpy(target->data, source->data, source->count * bytes_of(source));
    }
}

static double root_mean_square(const struct op_buffer *buffer) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < buffer->count; i++) {
        double value = op_element(buffer, i);
        if (buffer->counts[i] && isfinite(value)) {
            sum += value * value;
            count++;
        }
    }
    return count ? sqrt(sum / (double)count) : 0;
}

struct op_difference op_trial_compare(const struct op_trial *a, const struct op_trial *b) {
    struct op_difference worst = {0};
    double epsilon = sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON;
    for (int k = 0; k < a->memory.count; k++) {
        const struct op_buffer *of_a = &a->memory.buffers[k], *of_b = &b->memory.buffers[k];
        double size = root_mean_square(of_b);
        for (size_t i = 0; i < of_a->count; i++) {
            if (!of_a->counts[i] || same_bits(of_a, of_b, i))
                continue;
            double x = op_element(of_a, i), y = op_element(of_b, i);
            double share = fabs(x - y) / (64 * epsilon * (fabs(y) + size));
            if (!(share <= worst.share))
                worst =
                    (struct op_difference){isnan(share) ? INFINITY : share, of_a->name, i, x, y};
        }
    }
    return worst;
}

const char *op_trial_compare_bits(const struct op_trial *a, const struct op_trial *b) {
    for (int k = 0; k < a->memory.count; k++) {
        const struct op_buffer *of_a = &a->memory.buffers[k], *of_b = &b->memory.buffers[k];
        for (size_t i = 0; i < of_a->count; i++)
            if (of_a->counts[i] && !same_bits(of_a, of_b, i) &&
                !(is_spare(&a->memory, of_a, i) && is_spare(&b->memory, of_b, i)))
                return of_a->name;
    }
    return NULL;
}
