/* The least work of an operation: multiplications, and elements that it must read or write. */
#ifndef TAPER_WORK_H
#define TAPER_WORK_H

#include "supernet/pass_internal.h"

/* Per image of a group. Each tensor that an operation needs is read or written once; backward, that
 * is the tensors of the forward pass that it needs again and the gradients of its output and input.
 * `weights` are read once per batch, whatever its groups: not per image. */
struct work {
    double macs, elements, weights;
};
struct work step_work(const struct pass *pass, const struct step *step, int group, bool backward);

/* Weights with what they cost backward: their gradients are sums in memory. */
double weight_bytes(const struct pass *pass, double weights, bool backward);

/* Elements of one image of a tensor in a group. */
double image_elements(const struct pass *pass, const struct tensor *tensor, int group);

/* Multiplications of one image in a group. */
double convolution_macs(const struct pass *pass, const struct convolution *convolution, int group);

int kept_channels(const struct pass *pass, const struct tensor *tensor, int group);

#endif
