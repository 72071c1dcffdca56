/* A tiny training task on synthetic pictures, as a process finds it that starts (again). */
#ifndef TAPER_SUPPORT_TASK_H
#define TAPER_SUPPORT_TASK_H

#include "data/augment.h"
#include "training/trainer.h"

#include <stdbool.h>

enum { TASK_PICTURES = 96, TASK_SIZE = 8, TASK_CLASSES = 4, TASK_BATCH = 16 };

struct task_fixture {
    struct network network;
    struct pictures pictures;
    struct augmented_pictures augmented;
    int indices[TASK_PICTURES];
    struct sampler sampler;
    struct training_config config;
    struct training_task task;
    struct parameters parameters, statistics;
};

/* A super-network of four groups a batch, or its largest sub-network as one network; two epochs,
 * states in an emptied test folder. */
void task_begin(struct task_fixture *fixture, bool supernet, enum optimiser optimiser);
void task_end(struct task_fixture *fixture);

/* From the initial state, or from the one that was saved last. */
enum status task_train(struct task_fixture *fixture, struct training_state *state, int threads);

/* One step more, saved; STATUS_OK when there was none left. */
enum status task_train_step(struct task_fixture *fixture, struct training_state *state);

/* Steps and all vectors, to the bit. */
void assert_states_equal(const struct training_state *a, const struct training_state *b);

#endif
