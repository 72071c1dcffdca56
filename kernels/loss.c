/* Softmax cross-entropy with label smoothing and an optional teacher, image by image in double. */
#include "cpu.h"

#include <math.h>

enum { MOST_CLASSES = 1 << 14 };

/* softmax(logits / temperature) into p; returns log of the normaliser of (logits - largest). */
static double softmax(const real *logits, int classes, double temperature, double *p) {
    double largest = (double)logits[0], sum = 0;
    for (int c = 1; c < classes; c++)
        if ((double)logits[c] > largest)
            largest = (double)logits[c];
    for (int c = 0; c < classes; c++) {
        p[c] = exp(((double)logits[c] - largest) / temperature);
        sum += p[c];
    }
    for (int c = 0; c < classes; c++)
        p[c] /= sum;
    return largest + log(sum);
}

static void loss_of_image(const struct loss *loss, const real *logits, real *gradient, int picture,
                          int classes) {
    double p[MOST_CLASSES], taught[MOST_CLASSES];
    int label = loss->labels[picture], best = 0;
    double log_sum = softmax(logits, classes, 1, p);
    double from_teacher = loss->teacher ? (double)loss->teacher_weight : 0;
    if (loss->teacher)
        softmax(loss->teacher + (size_t)picture * classes, classes, (double)loss->temperature,
                taught);
    double weight = loss->weights ? (double)loss->weights[picture] : 1, total = 0;
    for (int c = 0; c < classes; c++) {
        double target = (1 - from_teacher) * ((double)loss->smoothing / classes +
                                              (c == label ? 1 - (double)loss->smoothing : 0));
        if (from_teacher > 0)
            target += from_teacher * taught[c];
        total -= target * ((double)logits[c] - log_sum);
        if (gradient)
            gradient[c] = (real)((double)loss->scale * weight * (p[c] - target));
        if (logits[c] > logits[best])
            best = c;
    }
    loss->losses[picture] = total;
    loss->correct[picture] = best == label;
}

enum status loss_forward_backward(const struct loss *loss, const struct slice *slice) {
    int classes = loss->logits->channels;
    if (classes > MOST_CLASSES)
        return fail(STATUS_USAGE, "%d classes are more than %d", classes, MOST_CLASSES);
    for (int i = 0; i < slice->count; i++) {
        const struct segment *segment = &slice->segments[i];
        for (int image = 0; image < segment->images; image++)
            loss_of_image(loss, tensor_image(loss->logits, segment, image),
                          loss->gradient ? tensor_image(loss->gradient, segment, image) : NULL,
                          segment->picture + image, classes);
    }
    return STATUS_OK;
}
