#include "support_branches.h"
#include "support_pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWN = 8, SHARDS = 5 };

struct trial {
    struct pass *together, *alone;
    real *weights;
    real *measured[MAX_BRANCHES], *single; /* statistics */
    struct subnetwork subs[MAX_BRANCHES];
    const struct subnetwork *pointers[MAX_BRANCHES];
    int count;
    const struct memory *memory;
};

static void add(struct trial *trial, struct subnetwork sub, int resolution, bool sizes) {
    if (sizes)
        sub.option[RESOLUTION_CHOICE] = (short)resolution;
    trial->pointers[trial->count] = &trial->subs[trial->count];
    trial->subs[trial->count++] = sub;
}

static void fill(struct trial *trial, const struct network *network, int resolution) {
    bool sizes = network_resolutions(network) > 1;
    for (uint32_t i = 0; i < DRAWN; i++)
        add(trial, pass_draw(network, i), resolution, sizes);
    add(trial, subnetwork_largest(network), resolution, sizes);
    for (int choice = sizes; choice < network->choice_count; choice++) {
        struct subnetwork sub = subnetwork_largest(network);
        sub.option[choice] = (short)(network->choices[choice].count - 1);
        add(trial, sub, resolution, sizes);
    }
    add(trial, subnetwork_largest(network), resolution, sizes);
    assert_true(trial->count <= MAX_BRANCHES);
}

static struct pass *make(const struct network *network, const struct ops *ops, struct pool *pool,
                         int branches) {
    const struct pass_options options = {.images = PASS_IMAGES,
                                         .groups = 1,
                                         .branches = branches,
                                         .shards = SHARDS,
                                         .epsilon = (real)1e-5,
                                         .mean = {(real)0.5, (real)0.25},
                                         .deviation = {(real)0.25, (real)0.5}};
    struct pass *pass;
    assert_int_equal(pass_create(&pass, network, ops, pool, &options), STATUS_OK);
    return pass;
}

static void open_trial(struct trial *trial, const struct network *network, const struct ops *ops,
                       struct pool *pool, int resolution) {
    *trial = (struct trial){.memory = ops->memory};
    fill(trial, network, resolution);
    trial->together = make(network, ops, pool, trial->count);
    trial->alone = make(network, ops, pool, 0);
    trial->weights = pass_random_parameters(pass_parameters(trial->alone));
    size_t size = pass_statistics(trial->alone)->size + READ_SLACK;
    for (int i = 0; i < trial->count; i++)
        trial->measured[i] = calloc(size, sizeof(real));
    trial->single = calloc(size, sizeof(real));
    assert_int_equal(pass_set_parameters(trial->together, trial->weights), STATUS_OK);
    assert_int_equal(pass_set_parameters(trial->alone, trial->weights), STATUS_OK);
}

static void close_trial(struct trial *trial) {
    assert_int_equal(pass_guards_broken(trial->together), 0);
    pass_release(trial->together);
    pass_release(trial->alone);
    for (int i = 0; i < trial->count; i++)
        free(trial->measured[i]);
    free(trial->single);
    free(trial->weights);
}

static void same_result(const struct pass_result *a, const struct pass_result *b) {
    assert_memory_equal(a->losses, b->losses, PASS_IMAGES * sizeof *a->losses);
    assert_memory_equal(a->hits, b->hits, PASS_IMAGES * sizeof *a->hits);
    assert_true(a->loss == b->loss && a->correct == b->correct);
}

static struct pass_result run_alone(struct trial *trial, int branch,
                                    enum statistics_source source) {
    struct batch_group group = {.sub = &trial->subs[branch], .images = PASS_IMAGES};
    struct pass_batch batch = pass_batch_from(0);
    struct pass_result result;
    assert_int_equal(pass_set_groups(trial->alone, &group, 1), STATUS_OK);
    assert_int_equal(pass_forward(trial->alone, &batch, source, &result), STATUS_OK);
    return result;
}

static void run_together(struct trial *trial, enum statistics_source source,
                         struct pass_result *results) {
    struct pass_batch batch = pass_batch_from(0);
    assert_int_equal(pass_set_branches(trial->together, trial->pointers, trial->count, PASS_IMAGES),
                     STATUS_OK);
    assert_int_equal(pass_forward_branches(trial->together, &batch, source, results), STATUS_OK);
}

static void compare_measured(struct trial *trial, bool every_row) {
    struct pass_result results[MAX_BRANCHES];
    run_together(trial, STATISTICS_BATCH, results);
    for (int i = 0; i < trial->count; i++) {
        struct pass_result result = run_alone(trial, i, STATISTICS_BATCH);
        assert_int_equal(pass_branch_statistics(trial->together, i, trial->measured[i]), STATUS_OK);
        assert_int_equal(pass_batch_statistics(trial->alone, trial->single), STATUS_OK);
        assert_int_equal(trial->memory->finish(), STATUS_OK);
        same_result(&results[i], &result);
        if (every_row)
            assert_memory_equal(trial->measured[i], trial->single,
                                pass_statistics(trial->alone)->size * sizeof(real));
    }
}

static void compare_given(struct trial *trial) {
    struct pass_result results[MAX_BRANCHES];
    for (int i = 0; i < trial->count; i++)
        assert_int_equal(pass_set_branch_statistics(trial->together, i, trial->measured[i]),
                         STATUS_OK);
    run_together(trial, STATISTICS_GIVEN, results);
    for (int i = 0; i < trial->count; i++) {
        assert_int_equal(pass_set_statistics(trial->alone, trial->measured[i]), STATUS_OK);
        struct pass_result result = run_alone(trial, i, STATISTICS_GIVEN);
        same_result(&results[i], &result);
    }
}

/* Twice, and more where a device records: call by call, recorded, replayed. */
void branches_must_agree(const struct network *network, const struct ops *ops, struct pool *pool,
                         int resolution, bool every_row) {
    struct trial trial;
    double shared, single;
    open_trial(&trial, network, ops, pool, resolution);
    for (int run = 0; run < (ops->memory->separate ? 3 : 2); run++) {
        compare_measured(&trial, every_row);
        compare_given(&trial);
    }
    pass_branch_macs(trial.together, &shared, &single);
    assert_true(shared < single); /* else nothing was shared */
    close_trial(&trial);
}
