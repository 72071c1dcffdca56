/* Softmax cross-entropy with label smoothing and an optional teacher, image by image in double. */
#include "cpu.h"

#include <math.h>
#include <string.h>

/* softmax(x / temperature)[c] = exp((x[c] - largest) / temperature - log_sum): no exponent is
 * positive, so that nothing overflows. */
struct softmax {
    const real *x;
    double largest, temperature, log_sum;
};

static struct softmax softmax_of(const real *x, int classes, double temperature) {
    struct softmax softmax = {.x = x, .largest = (double)x[0], .temperature = temperature};
    double sum = 0;
    for (int c = 1; c < classes; c++)
        softmax.largest = fmax(softmax.largest, (double)x[c]);
    for (int c = 0; c < classes; c++)
        sum += exp(((double)x[c] - softmax.largest) / temperature);
    softmax.log_sum = log(sum);
    return softmax;
}

static double log_probability(const struct softmax *softmax, int c) {
    return ((double)softmax->x[c] - softmax->largest) / softmax->temperature - softmax->log_sum;
}

static void loss_of_image(const struct loss *loss, const real *logits, real *gradient,
                          int picture) {
    int classes = loss->logits->channels, label = loss->labels[picture], best = 0;
    struct softmax softmax = softmax_of(logits, classes, 1), teacher = {0};
    double taught = loss->teacher ? (double)loss->teacher_weight : 0, sum = 0;
    double smoothing = (double)loss->smoothing, weight = (double)loss->scale;
    if (loss->teacher)
        teacher = softmax_of(loss->teacher + (size_t)picture * classes, classes,
                             (double)loss->temperature);
    if (loss->weights)
        weight *= (double)loss->weights[picture];
    for (int c = 0; c < classes; c++) {
        double target = (1 - taught) * (smoothing / classes + (c == label ? 1 - smoothing : 0));
        if (loss->teacher)
            target += taught * exp(log_probability(&teacher, c));
        double log_p = log_probability(&softmax, c);
        sum -= target * log_p;
        if (gradient)
            gradient[c] = (real)(weight * (exp(log_p) - target));
        if (logits[c] > logits[best])
            best = c;
    }
    loss->losses[picture] = sum;
    loss->correct[picture] = best == label;
}

static void copy_row(const struct loss *loss, const struct segment *segment, int image) {
    size_t classes = loss->logits->channels;
    memcpy(loss->rows + (segment->picture + image) * classes,
           tensor_image(loss->logits, segment, image), classes * sizeof(real));
}

enum status loss_forward_backward(const struct loss *loss, const struct slice *slice) {
    for (int s = 0; s < slice->count; s++) {
        const struct segment *segment = &slice->segments[s];
        for (int image = 0; image < segment->images; image++) {
            if (loss->rows)
                copy_row(loss, segment, image);
            if (loss->labels == NULL)
                continue;
            loss_of_image(loss, tensor_image(loss->logits, segment, image),
                          loss->gradient ? tensor_image(loss->gradient, segment, image) : NULL,
                          segment->picture + image);
        }
    }
    return STATUS_OK;
}
