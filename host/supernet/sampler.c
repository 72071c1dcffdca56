#include "supernet/sampler.h"
#include "support/random.h"

#include <math.h>

/* Options that the warm-up has reached: the largest ones. */
static int options_alive(const struct sampler *sampler, const struct choice *choice, double epoch) {
    if (epoch >= sampler->warmup_epochs)
        return choice->count;
    return (int)lround(1 + (choice->count - 1) * epoch / sampler->warmup_epochs);
}

/* How many cards of the deck say option 0; every other option has one. A block is absent as rarely
 * as it has any one of its widths. */
static int cards_of_first(const struct network *network, int index) {
    if (network->choices[index].kind != CHOICE_PRESENT)
        return 1;
    for (int i = 0; i < network->layer_count; i++)
        if (network->layers[i].present == index)
            return network->choices[network->layers[i].width].count;
    return 1;
}

static int draw_option(const struct sampler *sampler, const struct network *network, int index,
                       uint64_t group, double epoch) {
    int alive = options_alive(sampler, &network->choices[index], epoch);
    if (alive == 1)
        return 0;
    int cards[2 * MAX_OPTIONS], count = 0;
    for (int i = 0; i < cards_of_first(network, index); i++)
        cards[count++] = 0;
    for (int i = 1; i < alive; i++)
        cards[count++] = i;
    if (sampler->kind == DRAW_UNIFORM) {
        struct random_sequence sequence =
            random_sequence(sampler->seed, RANDOM_DECK, index, (uint32_t)group);
        return cards[random_below(&sequence, count)];
    }
    struct random_sequence sequence =
        random_sequence(sampler->seed, RANDOM_DECK, index, (uint32_t)(group / count));
    random_shuffle(&sequence, cards, count);
    return cards[group % count];
}

int sampler_resolution(const struct sampler *sampler, const struct network *network, uint64_t batch,
                       double epoch) {
    if (network_resolutions(network) == 1)
        return 0;
    return draw_option(sampler, network, RESOLUTION_CHOICE, batch, epoch);
}

struct subnetwork sampler_draw(const struct sampler *sampler, const struct network *network,
                               uint64_t group, double epoch) {
    struct subnetwork sub = {0};
    for (int i = 0; i < network->choice_count; i++) {
        bool of_batch = network->choices[i].kind == CHOICE_RESOLUTION;
        uint64_t number = of_batch ? group / (uint64_t)sampler->batch_groups : group;
        sub.option[i] = (short)draw_option(sampler, network, i, number, epoch);
    }
    return subnetwork_canonical(network, sub);
}
