#include "metric/table_plan.h"
#include "metric/latency_table.h"
#include "network/draw.h"
#include "support/file.h"
#include "support/memory.h"

#include <stddef.h>
#include <stdlib.h>

enum {
    COARSE = 3, /* options of a width: both ends and the middle */
    FINE = 12,
    TRIES = 64,      /* for a layer, until it is a new one */
    STALLED = 400,   /* draws in a row without a new layer: there are hardly more */
    SLOTS = 1 << 20, /* of the shapes seen, a power of two */
    MOST_SHAPES = SLOTS / 2,
    FEWEST_HELD_OUT = 8,
    HELD_OUT_SHARE = 10 /* one in so many */
};

struct planning {
    const struct network *network;
    struct table_plan *plan;
    struct random_sequence random;
    uint64_t *seen; /* hashes of shapes, open addressing; 0: free */
};

/* Where the shape is noted, or is to be. */
static uint64_t *slot_of(const struct planning *planning, const struct table_layer *layer,
                         uint64_t *hash) {
    *hash = hash_bytes(HASH_START, layer, offsetof(struct table_layer, milliseconds)) | 1;
    uint64_t at = *hash >> 20;
    while (planning->seen[at % SLOTS] != 0 && planning->seen[at % SLOTS] != *hash)
        at++;
    return &planning->seen[at % SLOTS];
}

/* To the nearest of `points` options of each width. */
static struct subnetwork draw(struct planning *planning, int points) {
    struct subnetwork sub = subnetwork_draw(planning->network, &planning->random);
    for (int i = 0; i < planning->network->choice_count; i++) {
        const struct choice *choice = &planning->network->choices[i];
        int last = choice->count - 1;
        if (choice->kind != CHOICE_WIDTH || last < points)
            continue;
        int nearest = (2 * sub.option[i] * (points - 1) + last) / (2 * last);
        sub.option[i] = (short)((2 * nearest * last + points - 1) / (2 * (points - 1)));
    }
    return sub;
}

static bool is_new(const struct planning *planning, const struct subnetwork *sub, int index) {
    struct table_layer layers[MAX_LAYERS + 1];
    uint64_t hash;
    table_layers(planning->network, sub, layers);
    return *slot_of(planning, &layers[index], &hash) == 0;
}

/* Tied layers: who comes first decides. */
static void take_layer(struct planning *planning, struct subnetwork *sub, int index, int points,
                       bool decided[MAX_CHOICES]) {
    const struct layer *layer = &planning->network->layers[index];
    const int choices[] = {layer->width, layer->expand, layer->kernel, layer->present};
    enum { CHOICES = sizeof choices / sizeof choices[0] };
    for (int try = 0; try < TRIES && !is_new(planning, sub, index); try++) {
        struct subnetwork other = draw(planning, points);
        for (int i = 0; i < CHOICES; i++)
            if (choices[i] >= 0 && !decided[choices[i]])
                sub->option[choices[i]] = other.option[choices[i]];
    }
    for (int i = 0; i < CHOICES; i++)
        if (choices[i] >= 0)
            decided[choices[i]] = true;
}

/* How many of its layers are new; they no longer are. */
static int note(struct planning *planning, const struct subnetwork *sub) {
    struct table_layer layers[MAX_LAYERS + 1];
    int fresh = 0;
    table_layers(planning->network, sub, layers);
    for (int i = 0; i <= planning->network->layer_count; i++) {
        uint64_t hash, *slot = slot_of(planning, &layers[i], &hash);
        fresh += *slot == 0;
        *slot = hash;
    }
    return fresh;
}

static void plan_grid(struct planning *planning, int points, int most) {
    struct table_plan *plan = planning->plan;
    const struct network *network = planning->network;
    for (int stalled = 0; stalled < STALLED && plan->count < most && plan->shapes < MOST_SHAPES;
         stalled++) {
        bool decided[MAX_CHOICES] = {false};
        struct subnetwork sub = draw(planning, points);
        for (int i = 0; i < network->layer_count; i++)
            take_layer(planning, &sub, i, points, decided);
        sub = subnetwork_canonical(network, sub);
        int fresh = note(planning, &sub);
        if (fresh == 0)
            continue;
        plan->shapes += fresh;
        plan->subs[plan->count++] = sub;
        stalled = -1;
    }
}

static void hash_plan(struct table_plan *plan, const struct network *network) {
    struct table_layer layers[MAX_LAYERS + 1];
    plan->hash = HASH_START;
    for (int i = 0; i < plan->count + plan->held_out; i++) {
        table_layers(network, &plan->subs[i], layers);
        for (int layer = 0; layer <= network->layer_count; layer++)
            plan->hash =
                hash_bytes(plan->hash, &layers[layer], offsetof(struct table_layer, milliseconds));
    }
}

enum status table_plan_create(struct table_plan *plan, const struct network *network, uint64_t seed,
                              int most) {
    struct planning planning = {
        .network = network, .plan = plan, .random = random_sequence(seed, RANDOM_LATENCY, 0, 0)};
    enum status status;
    size_t room = (size_t)most + (size_t)most / HELD_OUT_SHARE + FEWEST_HELD_OUT;
    *plan = (struct table_plan){0};
    TRY_CLEANUP(allocate(&plan->subs, room, sizeof *plan->subs, "sub-networks to measure"));
    TRY_CLEANUP(allocate(&planning.seen, SLOTS, sizeof *planning.seen, "layer shapes"));
    plan_grid(&planning, COARSE, most);
    plan_grid(&planning, FINE, most);
    plan->held_out = plan->count / HELD_OUT_SHARE;
    if (plan->held_out < FEWEST_HELD_OUT)
        plan->held_out = FEWEST_HELD_OUT;
    for (int i = 0; i < plan->held_out; i++)
        plan->subs[plan->count + i] = subnetwork_draw(network, &planning.random);
    hash_plan(plan, network);
done:
    free(planning.seen);
    if (status != STATUS_OK)
        table_plan_release(plan);
    return status;
}

void table_plan_release(struct table_plan *plan) {
    free(plan->subs);
    *plan = (struct table_plan){0};
}
