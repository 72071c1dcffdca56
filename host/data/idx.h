/* The source "idx": pictures and labels as MNIST and Fashion-MNIST are distributed.
 *
 * FOLDER/{train,t10k}-images-idx3-ubyte.gz: count, height, width and as many gray bytes;
 * FOLDER/{train,t10k}-labels-idx1-ubyte.gz: count and one byte per picture. Numbers are big-endian.
 */
#ifndef TAPER_IDX_H
#define TAPER_IDX_H

#include "data/dataset.h"

enum status idx_load(struct pictures *pictures, const struct data_config *config,
                     enum data_part part);

/* An images file alone, without labels. After an error *pictures is empty. */
enum status idx_load_images(struct pictures *pictures, const char *path);

#endif
