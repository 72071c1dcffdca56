/* IDX files, gzip or plain: the format of MNIST and Fashion-MNIST. */
#ifndef TAPER_IDX_H
#define TAPER_IDX_H

#include "data/dataset.h"

/* Reads FOLDER/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz; on failure nothing is kept. */
enum status idx_load(struct pictures *pictures, const struct data_config *config,
                     enum data_part part);

#endif
