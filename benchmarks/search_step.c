/* The search's scoring of real samples, one at a time and all of an iteration together.
 *
 *   bench_search_step FOLDER THREADS ROUNDS
 *
 * FOLDER: of a run whose search is done, at least in part. Its network, samples, and numbers of
 * images count; weights and pictures are random. Both ways take turns, and must give the same
 * scores. Prints a JSON row: samples per second (medians over the rounds), the share of the
 * multiplications that the samples of an iteration have in common, the gain in time that this
 * allows, the gain reached, and its share. */
#include "config/config.h"
#include "network/subnetwork_json.h"
#include "report/json_lines.h"
#include "search/scoring.h"
#include "support/memory.h"
#include "support/random.h"
#include "training/run.h"
#include "training_step.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_ROUNDS = 100, DEFAULT_HOLDOUT = 5000 };

struct bench {
    struct config config;
    const struct network *network;
    struct pool *pool;
    struct pictures pictures;
    struct image_set calibration, holdout;
    real *weights, *statistics;
    struct scorer together;
    struct evaluator *alone;
    struct pass *counts;
    int samples;
    double shared_macs, single_macs;
};

static enum status make_pictures(struct bench *bench) {
    const struct config *config = &bench->config;
    const struct network *network = bench->network;
    int calibration = config->search.calibration_images, holdout = config->search.holdout_images;
    if (holdout == 0)
        holdout = config->data.holdout_images > 0 ? config->data.holdout_images : DEFAULT_HOLDOUT;
    size_t picture = (size_t)network->height * network->width * network->channels;
    size_t count = calibration > holdout ? calibration : holdout;
    TRY(allocate(&bench->pictures.pixels, count, picture, "pictures"));
    TRY(allocate(&bench->pictures.labels, count, sizeof *bench->pictures.labels, "labels"));
    struct random_sequence random = random_sequence(1, RANDOM_AUGMENT, 0, 0);
    for (size_t i = 0; i < count * picture; i++)
        bench->pictures.pixels[i] = (uint8_t)random_below(&random, 256);
    for (size_t i = 0; i < count; i++)
        bench->pictures.labels[i] = (uint16_t)random_below(&random, (uint32_t)network->classes);
    bench->calibration = (struct image_set){.pictures = &bench->pictures, .count = calibration};
    bench->holdout = (struct image_set){.pictures = &bench->pictures, .count = holdout};
    return STATUS_OK;
}

static enum status make_scorers(struct bench *bench) {
    struct pass_options options = run_pass_options(&bench->config);
    struct parameters parameters;
    TRY(parameters_of(&parameters, bench->network));
    TRY(allocate(&bench->weights, parameters.size + READ_SLACK, sizeof(real), "weights"));
    parameters_initialise(&parameters, 1, bench->weights);
    TRY(evaluator_create(&bench->alone, bench->network, ops_cpu(), bench->pool, &options));
    TRY(evaluator_weights(bench->alone, bench->weights));
    TRY(allocate(&bench->statistics, evaluator_statistics(bench->alone)->size + READ_SLACK,
                 sizeof(real), "statistics"));
    TRY(scorer_create(&bench->together, bench->network, ops_cpu(), bench->pool, &options,
                      bench->weights, &bench->calibration, &bench->holdout));
    options.groups = 1;
    options.images = 1;
    options.branches = SCORED_TOGETHER;
    return pass_create(&bench->counts, bench->network, ops_cpu(), NULL, &options);
}

static enum status score_alone(struct bench *bench, const struct subnetwork *const *subs, int count,
                               double *scores) {
    for (int i = 0; i < count; i++) {
        struct evaluation evaluation;
        TRY(evaluator_calibrate(bench->alone, subs[i], &bench->calibration, bench->statistics));
        TRY(evaluator_run(bench->alone, subs[i], bench->statistics, &bench->holdout, &evaluation));
        scores[i] = evaluation.accuracy;
    }
    return STATUS_OK;
}

/* Adds the time that each way takes for these samples. */
static enum status measure(struct bench *bench, const struct subnetwork *const *subs, int count,
                           double *alone, double *together) {
    double scores[2][SCORED_TOGETHER], start = clock_seconds(CLOCK_MONOTONIC);
    TRY(score_alone(bench, subs, count, scores[0]));
    double middle = clock_seconds(CLOCK_MONOTONIC);
    TRY(scorer_score(&bench->together, subs, count, scores[1]));
    *alone += middle - start;
    *together += clock_seconds(CLOCK_MONOTONIC) - middle;
    for (int i = 0; i < count; i++)
        if (scores[0][i] != scores[1][i])
            return fail(STATUS_FAILED, "the two ways give different scores");
    return STATUS_OK;
}

static enum status read_iteration(const struct bench *bench, const json_t *lines, size_t first,
                                  struct subnetwork *subs, int *count) {
    const json_t *iteration = json_object_get(json_array_get(lines, first), "iteration");
    *count = 0;
    for (size_t i = first; i < json_array_size(lines) && *count < SCORED_TOGETHER; i++) {
        const json_t *line = json_array_get(lines, i);
        if (!json_equal(json_object_get(line, "iteration"), iteration))
            break;
        TRY(subnetwork_from_json(bench->network, json_object_get(line, "subnetwork"),
                                 &subs[(*count)++]));
    }
    return STATUS_OK;
}

/* Every iteration once in both ways. */
static enum status run_round(struct bench *bench, const json_t *lines, double *alone,
                             double *together) {
    bench->shared_macs = bench->single_macs = 0;
    bench->samples = 0;
    for (size_t first = 0; first < json_array_size(lines);) {
        struct subnetwork subs[SCORED_TOGETHER];
        const struct subnetwork *pointers[SCORED_TOGETHER];
        double shared, single;
        int count;
        TRY(read_iteration(bench, lines, first, subs, &count));
        for (int i = 0; i < count; i++)
            pointers[i] = &subs[i];
        TRY(measure(bench, pointers, count, alone, together));
        TRY(pass_set_branches(bench->counts, pointers, count, 1));
        pass_branch_macs(bench->counts, &shared, &single);
        bench->shared_macs += shared;
        bench->single_macs += single;
        bench->samples += count;
        first += count;
    }
    return STATUS_OK;
}

static enum status run(int argc, char **argv) {
    static struct bench bench;
    char path[600];
    json_t *lines;
    double alone[MOST_ROUNDS] = {0}, together[MOST_ROUNDS] = {0};
    int threads = argc == 4 ? atoi(argv[2]) : 0, rounds = argc == 4 ? atoi(argv[3]) : 0;
    if (threads < 1 || rounds < 1 || rounds > MOST_ROUNDS)
        return fail(STATUS_USAGE, "bench_search_step FOLDER THREADS ROUNDS");
    snprintf(path, sizeof path, "%s/config.yaml", argv[1]);
    TRY(config_read(&bench.config, path, NULL, 0));
    bench.network = &bench.config.network;
    if (network_resolutions(bench.network) > 1)
        return fail(STATUS_USAGE, "%s: pictures of one size are wanted", path);
    snprintf(path, sizeof path, "%s/search.jsonl", argv[1]);
    TRY(json_lines_read(path, &lines));
    TRY(pool_create(&bench.pool, threads));
    TRY(make_pictures(&bench));
    TRY(make_scorers(&bench));
    for (int round = 0; round < rounds; round++)
        TRY(run_round(&bench, lines, &alone[round], &together[round]));
    if (bench.samples == 0)
        return fail(STATUS_FAILED, "%s: no samples", path);
    double slow = median_of_times(alone, rounds), fast = median_of_times(together, rounds);
    double allowed = bench.single_macs / bench.shared_macs;
    printf("{\"benchmark\": \"search step\", \"samples\": %d, \"threads\": %d, \"rounds\": %d, "
           "\"images\": %d, \"samples_per_second\": {\"alone\": %.3f, \"together\": %.3f}, "
           "\"shared_macs\": %.4f, \"allowed_gain\": %.3f, \"gain\": %.3f, \"reached\": %.3f}\n",
           bench.samples, threads, rounds, bench.calibration.count + bench.holdout.count,
           bench.samples / slow, bench.samples / fast, 1 - 1 / allowed, allowed, slow / fast,
           slow / fast / allowed);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    enum status status = run(argc, argv);
    if (status != STATUS_OK)
        fprintf(stderr, "error: %s\n", failure());
    return status;
}
