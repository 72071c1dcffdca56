/* The cases that every operation of ops.h is tried on, for every backend and for the benchmarks of
 * single operations: shapes, kept widths, views. op_trial.h builds the tensors of a case.
 */
#ifndef TAPER_OP_CASES_H
#define TAPER_OP_CASES_H

#include "ops.h"

enum { CASE_GROUPS = 4, MOST_GROUPS = 64 };

enum op_kind {
    OP_DENSE,
    OP_POINTWISE,
    OP_DEPTHWISE,
    OP_BATCH_NORM,
    OP_COMBINE,
    OP_SQUEEZE_EXCITE,
    OP_POOL_MEAN,
    OP_LOSS,
    OP_NORMALISE_PICTURES,
    OP_ADD,
    OP_UPDATE,
    OP_AVERAGE,
    OP_KINDS
};

enum case_norm { WITHOUT_NORM, PER_GROUP, SHARED, FIXED };

/* Group g keeps inputs[g] of channels and outputs[g] of filters; of more groups, what g %
 * CASE_GROUPS keeps. What these are, per operation:
 *   dense, pointwise, depthwise   input and output channels (depthwise: the same)
 *   batch_norm, pool_mean         channels
 *   combine                       channels of the shortcut (0: no shortcut); filters of z
 *   squeeze_excite                channels; hidden channels
 *   loss, normalise_pictures      classes; channels of a picture
 *   add, update, average          channels: elements of the vectors
 * input_norm, activation and gate belong to the view that is read (combine: main). */
struct op_case {
    const char *name;
    enum op_kind kind;
    int height, width; /* of the input; combine: of the output */
    int channels, filters;
    int inputs[CASE_GROUPS], outputs[CASE_GROUPS];
    int groups; /* 0: CASE_GROUPS. More take long: only their values are compared, not their bits */

    enum case_norm input_norm, output_norm; /* batch_norm: output_norm */
    enum activation activation;
    int gate;
    int accumulate;     /* to the input's gradient; combine: to the shortcut's */
    int wider_gradient; /* the gradient tensors keep so many channels more */
    int no_gradient;    /* of the input */
    int plain_input;    /* input without alignment: pictures */
    int plain_output;   /* output without alignment: logits */

    int kernel, stride, kernels[CASE_GROUPS]; /* convolutions; 0 is 1 */
    int bias;

    int bypass, residual, pool; /* combine */
    int odd_height, odd_width;  /* pool: the shortcut is 2 h - 1 high, 2 w - 1 wide */
    int in_place;               /* the gradient of main is the gradient of the output */

    int weighted, teacher, no_labels; /* loss */
    real smoothing, teacher_weight, temperature;

    int terms;            /* add */
    struct update update; /* update; average: rate is `keep` */
    int some_decay;       /* update: not all elements decay */
};

extern const struct op_case op_cases[];
extern const int op_case_count;

#endif
