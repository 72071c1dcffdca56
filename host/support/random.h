/* Counter-based random numbers (Philox 4x32-10; Salmon et al., SC 2011).
 *
 * A draw is a pure function of (seed, purpose, a, b, c): no state to save, so resuming is exact and
 * results do not depend on the number of threads or ranks.
 */
#ifndef TAPER_RANDOM_H
#define TAPER_RANDOM_H

#include <stdint.h>

/* One stream per purpose, so that no two uses of the same seed are correlated. */
enum random_purpose {
    RANDOM_INITIALISE = 1, /* weights: a = parameter index, b = element */
    RANDOM_HOLDOUT,        /* hold-out choice: a = class */
    RANDOM_SHUFFLE,        /* order of an epoch: a = epoch */
    RANDOM_AUGMENT,        /* a = epoch, b = image */
    RANDOM_DECK,           /* ordered dropout: a = choice, b = round */
    RANDOM_SEARCH,         /* a = iteration, b = sample, c = draw */
    RANDOM_CALIBRATION,    /* which training images calibrate */
    RANDOM_STAND_IN,       /* in place of a bad picture: a = epoch, b = image */
    RANDOM_SYNTHETIC,      /* pictures without photographs: a = kind, b = picture */
    RANDOM_LATENCY         /* a = 0: networks whose layers a latency table takes; 1: its check */
};

struct random_bits {
    uint32_t word[4];
};

/* a < 2^56: the purpose takes the 8 bits above, so that no two keys share a counter. */
struct random_bits random_draw(uint64_t seed, enum random_purpose purpose, uint64_t a, uint32_t b,
                               uint32_t c);

/* A sequence for shuffles and repeated draws: the same key, counting c up; 2^32 words long. */
struct random_sequence {
    uint64_t seed, a;
    uint32_t b, next;
    enum random_purpose purpose;
    struct random_bits bits;
};
struct random_sequence random_sequence(uint64_t seed, enum random_purpose purpose, uint64_t a,
                                       uint32_t b);
uint32_t random_next(struct random_sequence *sequence);
uint32_t random_below(struct random_sequence *sequence, uint32_t limit); /* unbiased, limit > 0 */
double random_uniform(struct random_sequence *sequence);                 /* [0, 1) */
double random_normal(struct random_sequence *sequence);
void random_shuffle(struct random_sequence *sequence, int *items, int count);

#endif
