/* Which pictures a tar shard holds. */
#ifndef TAPER_SHARD_INDEX_H
#define TAPER_SHARD_INDEX_H

#include "data/source_type.h"

/* Adds every picture KEY.jpg, .jpeg, .png, .ppm, .pgm that has a KEY.cls with its label in decimal
 * digits, in the order of the file: size is its bytes, detail the block of the file where they
 * begin. Members that would leave the folder, links, pictures without a label, labels without a
 * picture, keys that come again, and the rest of a shard that is cut off are faults of the part.
 * Errors: the file cannot be read, is compressed, or is no tar file. */
enum status shard_index(struct source_part *part, int file, const char *path);

#endif
