/* The named parameters of a network as one flat vector of reals.
 *
 * Names: LAYER.weight, LAYER.bias, LAYER.bn.{weight,bias} for convolutions and linear layers;
 * LAYER.{conv_pw,conv_dw,conv_pwl}.weight, LAYER.{bn1,bn2,bn3}.{weight,bias} and
 * LAYER.se.{conv_reduce,conv_expand}.{weight,bias} for blocks. Shapes are OIHW, unpadded.
 * Statistics of batch-norms (running or calibrated) are a second vector of the same kind, with
 * NORM.running_mean and NORM.running_var. Offsets are multiples of 16 elements, gaps are zero.
 */
#ifndef TAPER_PARAMETERS_H
#define TAPER_PARAMETERS_H

#include "network/network.h"
#include "support/status.h"
#include <stdint.h>

enum parameter_role {
    ROLE_WEIGHT, /* of a convolution or linear layer: weight decay applies */
    ROLE_BIAS,
    ROLE_NORM_WEIGHT,
    ROLE_NORM_BIAS,
    ROLE_RUNNING_MEAN,
    ROLE_RUNNING_VARIANCE
};

/* Which part of its layer a parameter belongs to. */
enum parameter_part {
    PART_MAIN,      /* the convolution or linear layer itself */
    PART_EXPAND,    /* conv_pw, bn1 */
    PART_DEPTHWISE, /* conv_dw, bn2 */
    PART_REDUCE,    /* se.conv_reduce */
    PART_GATE,      /* se.conv_expand */
    PART_PROJECT    /* conv_pwl, bn3 */
};

struct parameter {
    char name[MAX_NAME + 32];
    int layer;
    enum parameter_part part;
    enum parameter_role role;
    int rank, shape[4];
    int fan_in;           /* inputs of one output, for the initialisation */
    size_t offset, count; /* elements */
};

struct parameters {
    int count;
    struct parameter *list; /* owned */
    size_t size;            /* elements of the flat vector */
};

/* Trainable parameters, and batch-norm statistics. Layers in order; an absent block has none. */
enum status parameters_of(struct parameters *parameters, const struct network *network);
enum status statistics_of(struct parameters *statistics, const struct network *network);
void parameters_release(struct parameters *parameters);

/* NULL when there is none. */
const struct parameter *parameters_find(const struct parameters *parameters, int layer,
                                        enum parameter_part part, enum parameter_role role);

/* Weights N(0, 2 / fan_in) (linear: 1 / fan_in), norm weights 1, the rest 0; running variance 1.
 * Depends on seed and parameter index only. */
void parameters_initialise(const struct parameters *parameters, uint64_t seed, real *values);

/* Copies what the stand-alone network keeps: per dimension the first entries, of kernels the
 * centre. Both lists must come from a network and its extraction: parameters are matched by layer,
 * part and role, whatever their names. */
enum status parameters_extract(const struct parameters *from, const real *values,
                               const struct parameters *to, real *extracted);

#endif
