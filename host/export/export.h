/* A stand-alone network written for other programs: found.onnx and found.py beside
 * found.safetensors.
 *
 * What all of them read is the normalised picture, float [N, channels, height, width]: a file
 * states mean and deviation, and whoever calls it normalises. Inference pipelines do that while
 * they decode, and a network with the normalisation inside could not be compared with timm's.
 */
#ifndef TAPER_EXPORT_H
#define TAPER_EXPORT_H

#include "network/parameters.h"

/* All borrowed. */
struct exported {
    const char *name;                                 /* "found", "found-N", "found-sample-N" */
    const struct network *network;                    /* one option per choice */
    const struct parameters *parameters, *statistics; /* with the names of names.h */
    const real *weights, *statistic_values;
    double epsilon;                 /* of batch-norms */
    const double *mean, *deviation; /* [channels], of values in 0..1 */
};

/* Opset 17, dynamic batch, input "pictures", output "logits". fold: batch-norms become part of the
 * convolutions before them; else they are nodes. STATUS_FAILED where the program was built without
 * ONNX. */
enum status onnx_write(const struct exported *exported, bool fold, const char *path);
bool onnx_available(void);

/* A module of plain PyTorch that loads the safetensors file of the same name. */
enum status pytorch_write(const struct exported *exported, const char *path);

#endif
