/* What a trial's operation works on, filled at random: parts of op_trial.c. */
#ifndef TAPER_OP_OPERANDS_H
#define TAPER_OP_OPERANDS_H

#include "op_trial.h"

/* Slots, partial rows and pictures are counted from different numbers, so that one taken for the
 * other shows. */
enum { FIRST_SLOT = 1, FIRST_ROW = 2, FIRST_PICTURE = 3 };

enum content { RANDOM, UNSET };

void op_make_segments(struct op_trial *trial);
/* One number per group, where kernels read it: counts[group] + more. */
const int *op_make_counts(struct op_trial *trial, const char *name, const int *counts, int more);
struct op_buffer *op_make_vector(struct op_trial *trial, const char *name, size_t count, double low,
                                 double high);

/* Channels that the group keeps are values; nobody may write behind the packed pixels of a
 * segment. */
struct tensor op_make_tensor(struct op_trial *trial, const char *name, int height, int width,
                             int channels, int align, const int *kept, enum content content);
struct batch_norm op_make_norm(struct op_trial *trial, enum case_norm kind, int channels,
                               const int *kept, enum content content);
/* The view that is read: tensor, norm, gate and gradient. */
struct view op_make_view(struct op_trial *trial, int height, int width, int channels,
                         const int *kept);
void op_make_output(struct op_trial *trial, int height, int width, int channels, const int *kept);

/* Gradients start at random values: operations add to them. */
void op_make_parameters(struct op_trial *trial, size_t count);
/* Weights from `offset` on, [rows][columns][taps x taps]: what some group keeps is set. */
void op_set_weights(struct op_trial *trial, size_t offset, int columns, int taps,
                    const int *kept_rows, const int *kept_columns, const int *kernels);

#endif
