/* The names that tensors have in files for other programs: those of timm's MobileNetV3.
 *
 *   conv_stem, bn1            a convolution that is the first layer
 *   blocks.S.B.PART           block B (from 0) of stage S: conv_pw bn1 conv_dw bn2 se.conv_reduce
 *                             se.conv_expand conv_pwl bn3; without expansion conv_dw bn1 se...
 * conv_pw bn2; any other convolution: conv bn1 conv_head, classifier     the linear layer after the
 * pool, and the last one. Others between them: conv_head2, conv_head3 ...
 *
 * A layer without a residual connection begins a stage: channels or pixels change there. That is
 * timm's own division of MobileNetV3 and its relatives, and since an extracted network keeps its
 * residuals and its absent blocks, a block has the same name in every sub-network.
 */
#ifndef TAPER_NAMES_H
#define TAPER_NAMES_H

#include "network/parameters.h"

enum { LAYER_NAME = 32 };

/* "conv_stem", "blocks.2.1", "conv_head", "classifier"; "" for a pool. */
const char *names_layer(const struct network *network, int layer, char name[LAYER_NAME]);

/* The stage of a layer that is in one, else -1. */
int names_stage(const struct network *network, int layer);

/* Gives the parameters or statistics of `network` these names, and the shapes that go with them:
 * all linear layers but the classifier are 1x1 convolutions. */
void names_timm(const struct network *network, struct parameters *list);

#endif
