/* Runs a trial through its backend's table. */
#include "op_trial.h"

#include <stdio.h>
#include <stdlib.h>

int op_trial_has_backward(const struct op_case *test) {
    return test->kind <= OP_POOL_MEAN && test->input_norm != FIXED && test->output_norm != FIXED;
}

static void must(enum status status) {
    if (status != STATUS_OK) {
        fprintf(stderr, "error: %s\n", failure());
        exit(1);
    }
}

static void forward_flat(struct op_trial *trial) {
    const struct op_case *test = trial->test;
    const struct ops *ops = trial->ops;
    real **vectors = trial->vectors;
    size_t count = test->channels;
    if (test->kind == OP_ADD)
        must(ops->add(vectors[0], (const real *const *)vectors + 1, test->terms, count));
    else if (test->kind == OP_UPDATE)
        must(ops->update(&trial->update, count, vectors[0], vectors[1], vectors[2], vectors[3]));
    else
        must(ops->average(vectors[0], vectors[1], test->update.rate, count));
}

static void finish(const struct ops *ops) {
    if (ops->memory)
        must(ops->memory->finish());
}

static void prepare(const struct op_trial *trial) {
    const struct convolution *convolution = &trial->convolution;
    must(trial->ops->prepare(&convolution, 1));
}

void op_trial_forward(struct op_trial *trial) {
    const struct ops *ops = trial->ops;
    const struct slice *slice = &trial->slice;
    switch (trial->test->kind) {
    case OP_DENSE:
        prepare(trial);
        must(ops->dense_forward(&trial->convolution, slice));
        break;
    case OP_POINTWISE:
        prepare(trial);
        must(ops->pointwise_forward(&trial->convolution, slice));
        break;
    case OP_DEPTHWISE:
        prepare(trial);
        must(ops->depthwise_forward(&trial->convolution, slice));
        break;
    case OP_BATCH_NORM:
        must(ops->batch_norm_forward(&trial->output_norm, &trial->input, slice));
        break;
    case OP_COMBINE:
        must(ops->combine_forward(&trial->combine, slice));
        break;
    case OP_SQUEEZE_EXCITE:
        must(ops->squeeze_excite_forward(&trial->squeeze_excite, slice));
        break;
    case OP_POOL_MEAN:
        must(ops->pool_mean_forward(&trial->pool_mean, slice));
        break;
    case OP_LOSS:
        must(ops->loss_forward_backward(&trial->loss, slice));
        break;
    case OP_NORMALISE_PICTURES:
        must(ops->normalise_pictures(&trial->normalise_pictures, slice));
        break;
    default:
        forward_flat(trial);
    }
    finish(ops);
}

void op_trial_backward(struct op_trial *trial) {
    const struct ops *ops = trial->ops;
    const struct slice *slice = &trial->slice;
    switch (trial->test->kind) {
    case OP_DENSE:
        must(ops->dense_backward(&trial->convolution, slice));
        break;
    case OP_POINTWISE:
        must(ops->pointwise_backward(&trial->convolution, slice));
        break;
    case OP_DEPTHWISE:
        must(ops->depthwise_backward(&trial->convolution, slice));
        break;
    case OP_BATCH_NORM:
        must(ops->batch_norm_backward(&trial->output_norm, &trial->input, slice));
        break;
    case OP_COMBINE:
        must(ops->combine_backward(&trial->combine, slice));
        break;
    case OP_SQUEEZE_EXCITE:
        must(ops->squeeze_excite_backward(&trial->squeeze_excite, slice));
        break;
    case OP_POOL_MEAN:
        must(ops->pool_mean_backward(&trial->pool_mean, slice));
        break;
    default:
        break;
    }
    finish(ops);
}
