#include "training/predictions.h"
#include "support/memory.h"
#include "support/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum status take(struct predictions *predictions) {
    size_t images = (size_t)predictions->images;
    TRY(allocate(&predictions->logits, images * (size_t)predictions->classes + READ_SLACK,
                 sizeof(real), "logits"));
    return allocate(&predictions->labels, images, sizeof(int64_t), "labels");
}

enum status predictions_create(struct predictions *predictions, int images, int classes,
                               const uint16_t *labels) {
    *predictions = (struct predictions){.images = images, .classes = classes};
    enum status status = take(predictions);
    for (int i = 0; status == STATUS_OK && i < images; i++)
        predictions->labels[i] = labels[i];
    if (status != STATUS_OK)
        predictions_release(predictions);
    return status;
}

void predictions_release(struct predictions *predictions) {
    free(predictions->logits);
    free(predictions->labels);
    *predictions = (struct predictions){0};
}

enum status predictions_write(const struct predictions *predictions, const char *path,
                              const char *network) {
    const struct named_tensor tensors[] = {{.name = "labels",
                                            .type = TENSOR_I64,
                                            .rank = 1,
                                            .shape = {predictions->images},
                                            .data = predictions->labels},
                                           {.name = "logits",
                                            .type = TENSOR_F32,
                                            .rank = 2,
                                            .shape = {predictions->images, predictions->classes},
                                            .data = predictions->logits}};
    const struct metadata metadata[] = {{"format", "taper predictions 1"}, {"network", network}};
    return safetensors_write(path, tensors, 2, metadata, 2);
}

int likeliest(const real *logits, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

void probabilities_of(const real *logits, int classes, double *probabilities) {
    double largest = (double)logits[likeliest(logits, classes)], sum = 0;
    for (int c = 0; c < classes; c++)
        sum += probabilities[c] = exp((double)logits[c] - largest);
    for (int c = 0; c < classes; c++)
        probabilities[c] /= sum;
}

/* How many classes come before this one; of equal logits the first class does. */
static int rank_of(const real *logits, int classes, int label) {
    int rank = 0;
    for (int c = 0; c < classes; c++)
        rank += logits[c] > logits[label] || (logits[c] == logits[label] && c < label);
    return rank;
}

/* Cross-entropy without the detour over a probability that may be 0. */
static double loss_of(const real *logits, int classes, int label) {
    double largest = (double)logits[likeliest(logits, classes)], sum = 0;
    for (int c = 0; c < classes; c++)
        sum += exp((double)logits[c] - largest);
    return log(sum) - ((double)logits[label] - largest);
}

static void keep_hardest(struct tables *tables, const struct hard_image *image) {
    struct hard_image *list = tables->hardest;
    int at = tables->hardest_count;
    if (at == MOST_HARDEST && image->loss <= list[at - 1].loss)
        return;
    at -= at == MOST_HARDEST;
    for (; at > 0 && image->loss > list[at - 1].loss; at--)
        list[at] = list[at - 1];
    list[at] = *image;
    tables->hardest_count += tables->hardest_count < MOST_HARDEST;
}

static enum status count_image(struct tables *tables, const real *logits, int image, int label) {
    int classes = tables->classes, rank = rank_of(logits, classes, label);
    struct hard_image hard = {.image = image,
                              .label = label,
                              .predicted = likeliest(logits, classes),
                              .loss = loss_of(logits, classes, label)};
    if (!isfinite(hard.loss))
        return fail(STATUS_FAILED, "image %d has logits that are not finite: the network is broken",
                    image);
    hard.label_probability = exp(-hard.loss);
    hard.probability = exp(-loss_of(logits, classes, hard.predicted));
    tables->top1 += rank == 0;
    tables->top5 += rank < TOP;
    tables->loss += hard.loss / tables->images;
    tables->of_class[label].images++;
    if (hard.predicted == label)
        tables->of_class[label].correct++;
    else
        tables->confusions[tables->confusion_count++] =
            (struct confusion){label, hard.predicted, 1};
    keep_hardest(tables, &hard);
    return STATUS_OK;
}

enum status tables_make(struct tables *tables, const struct predictions *predictions) {
    int classes = predictions->classes;
    *tables = (struct tables){.images = predictions->images, .classes = classes};
    TRY(allocate(&tables->of_class, (size_t)classes, sizeof *tables->of_class, "the classes"));
    TRY(allocate(&tables->confusions, (size_t)predictions->images, sizeof *tables->confusions,
                 "confused classes"));
    for (int i = 0; i < predictions->images; i++)
        TRY(count_image(tables, predictions->logits + (size_t)i * (size_t)classes, i,
                        (int)predictions->labels[i]));
    tables->confusion_count = confusions_merge(tables->confusions, tables->confusion_count);
    return STATUS_OK;
}

void tables_release(struct tables *tables) {
    free(tables->of_class);
    free(tables->confusions);
    *tables = (struct tables){0};
}

void tables_matrix(const struct tables *tables, int *cells) {
    int classes = tables->classes;
    memset(cells, 0, (size_t)classes * (size_t)classes * sizeof *cells);
    for (int label = 0; label < classes; label++)
        cells[label * classes + label] = tables->of_class[label].correct;
    for (int i = 0; i < tables->confusion_count; i++) {
        const struct confusion *confusion = &tables->confusions[i];
        cells[confusion->label * classes + confusion->predicted] = confusion->images;
    }
}
