#include "training/teacher.h"
#include "support/memory.h"

#include <stdlib.h>

struct teacher {
    struct evaluator *evaluator;
    struct subnetwork largest;
    real *statistics, *logits;
};

static enum status create_parts(struct teacher *teacher, const struct network *supernet,
                                const struct ops *ops, struct pool *pool,
                                const struct pass_options *options, const real *weights,
                                const struct image_set *calibration, int resolution) {
    teacher->largest = subnetwork_largest(supernet);
    teacher->largest.option[RESOLUTION_CHOICE] = (short)resolution;
    TRY(evaluator_create(&teacher->evaluator, supernet, ops, pool, options));
    TRY(allocate(&teacher->statistics, evaluator_statistics(teacher->evaluator)->size + READ_SLACK,
                 sizeof(real), "the teacher's statistics"));
    TRY(allocate(&teacher->logits, (size_t)options->images * supernet->classes + READ_SLACK,
                 sizeof(real), "the teacher's logits"));
    TRY(evaluator_weights(teacher->evaluator, weights));
    return evaluator_calibrate(teacher->evaluator, &teacher->largest, calibration,
                               teacher->statistics);
}

enum status teacher_create(struct teacher **teacher, const struct network *supernet,
                           const struct ops *ops, struct pool *pool,
                           const struct pass_options *options, const real *weights,
                           const struct image_set *calibration, int resolution) {
    TRY(allocate(teacher, 1, sizeof **teacher, "a teacher"));
    enum status status =
        create_parts(*teacher, supernet, ops, pool, options, weights, calibration, resolution);
    if (status != STATUS_OK) {
        teacher_release(*teacher);
        *teacher = NULL;
    }
    return status;
}

void teacher_release(struct teacher *teacher) {
    if (teacher == NULL)
        return;
    evaluator_release(teacher->evaluator);
    free(teacher->statistics);
    free(teacher->logits);
    free(teacher);
}

enum status teacher_logits(struct teacher *teacher, const uint8_t *pictures, int images,
                           const real **logits) {
    *logits = teacher->logits;
    return evaluator_logits(teacher->evaluator, &teacher->largest, teacher->statistics, pictures,
                            images, teacher->logits);
}
