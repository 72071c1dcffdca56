/* Random brightness, contrast and saturation, as torchvision's ColorJitter defines them on 8-bit
 * pictures: each blends the picture with another one (black; the mean of its gray version; its gray
 * version) by a factor, cuts to 0..255 and drops the fraction. The order is random, too. */
#ifndef TAPER_JITTER_H
#define TAPER_JITTER_H

#include "data/picture_recipe.h"
#include "support/random.h"
#include <stddef.h>

/* One of the three, by its number in picture_recipe.h, in place. picture: [pixels][channels], gray
 * or RGB. */
void jitter_apply(int which, double factor, uint8_t *picture, size_t pixels, int channels);

/* All that the recipe wants, with random factors in a random order. */
void jitter_random(const struct picture_recipe *recipe, struct random_sequence *sequence,
                   uint8_t *picture, size_t pixels, int channels);

#endif
