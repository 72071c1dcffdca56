#include "support/random.h"

#include <math.h>

enum { ROUNDS = 10 };

static uint32_t high(uint64_t product) {
    return (uint32_t)(product >> 32);
}

static struct random_bits philox(struct random_bits counter, uint64_t key) {
    uint32_t key0 = (uint32_t)key, key1 = high(key);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t *word = counter.word;
        uint64_t product0 = UINT64_C(0xD2511F53) * word[0];
        uint64_t product1 = UINT64_C(0xCD9E8D57) * word[2];
        counter = (struct random_bits){{high(product1) ^ word[1] ^ key0, (uint32_t)product1,
                                        high(product0) ^ word[3] ^ key1, (uint32_t)product0}};
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return counter;
}

struct random_bits random_draw(uint64_t seed, enum random_purpose purpose, uint64_t a, uint32_t b,
                               uint32_t c) {
    struct random_bits counter = {{c, b, (uint32_t)a, high(a) ^ (uint32_t)purpose << 24}};
    return philox(counter, seed);
}

struct random_sequence random_sequence(uint64_t seed, enum random_purpose purpose, uint64_t a,
                                       uint32_t b) {
    return (struct random_sequence){.seed = seed, .purpose = purpose, .a = a, .b = b};
}

uint32_t random_next(struct random_sequence *sequence) {
    uint32_t word = sequence->next % 4;
    if (word == 0)
        sequence->bits = random_draw(sequence->seed, sequence->purpose, sequence->a, sequence->b,
                                     sequence->next / 4);
    sequence->next++;
    return sequence->bits.word[word];
}

uint32_t random_below(struct random_sequence *sequence, uint32_t limit) {
    /* Words up to the last multiple of `limit` map evenly; the few above it are drawn again. */
    uint32_t uneven = (uint32_t)-limit % limit; /* 2^32 mod limit */
    uint32_t word;
    do
        word = random_next(sequence);
    while (word < uneven);
    return word % limit;
}

double random_uniform(struct random_sequence *sequence) {
    uint64_t upper = random_next(sequence);
    uint64_t bits = upper << 32 | random_next(sequence);
    return (double)(bits >> 11) * 0x1p-53;
}

double random_normal(struct random_sequence *sequence) {
    double radius = sqrt(-2 * log(1 - random_uniform(sequence))); /* 1 - u is never 0 */
    return radius * cos(2 * M_PI * random_uniform(sequence));
}

void random_shuffle(struct random_sequence *sequence, int *items, int count) {
    for (int last = count - 1; last > 0; last--) {
        int other = (int)random_below(sequence, (uint32_t)last + 1);
        int item = items[last];
        items[last] = items[other];
        items[other] = item;
    }
}
