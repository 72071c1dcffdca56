/* Which part of a picture a network sees. */
#ifndef TAPER_CROP_H
#define TAPER_CROP_H

#include "data/picture_recipe.h"
#include "data/picture_window.h"
#include "support/random.h"

/* A random part for training, of whole pixels, in the distribution of torchvision's
 * RandomResizedCrop: area uniform, ratio uniform in its logarithm, ten tries, then the centre. */
struct picture_box crop_random(const struct picture_recipe *recipe,
                               const struct picture_size *picture,
                               struct random_sequence *sequence);

/* The part for evaluation, in fractions of pixels: resampling it is torchvision's Resize of the
 * short side and CenterCrop. A network's picture that is not square covers what it can. */
struct picture_box crop_centre(const struct picture_recipe *recipe,
                               const struct picture_size *picture);

#endif
