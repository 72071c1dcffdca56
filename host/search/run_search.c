#include "search/run_search.h"
#include "report/format.h"
#include "search/sample_file.h"
#include "search/scoring.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/memory.h"
#include "training/train_supernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_YAML_BYTES = 1 << 20 };

/* The line of found.yaml that says which keys it belongs to. */
static enum status hash_line(const struct run *run, char *line, size_t size) {
    uint64_t hash;
    char text[HASH_TEXT];
    TRY(run_hash(run, STEP_SEARCH, &hash, text));
    snprintf(line, size, "config_hash %s", text);
    return STATUS_OK;
}

static enum status is_done(const struct run *run, bool *done) {
    char path[RUN_PATH], line[64], *text;
    size_t size;
    *done = false;
    if (!file_exists(run_path(run, "found.yaml", path)))
        return STATUS_OK;
    TRY(hash_line(run, line, sizeof line));
    TRY(file_read(path, MOST_YAML_BYTES, &text, &size));
    *done = strstr(text, line) != NULL;
    free(text);
    return STATUS_OK;
}

enum status search_must_be_done(const struct run *run) {
    bool done;
    TRY(is_done(run, &done));
    if (!done)
        return fail(STATUS_USAGE,
                    "%s has no search with these keys yet; search with `taper search`",
                    run->folder);
    return STATUS_OK;
}

static void space_release(struct search_space *space) {
    for (int i = 0; i < space->metric_count; i++)
        metric_release(space->metrics[i]);
}

/* Budgets given as a share are of the initial network's metric. */
static enum status space_create(struct search_space *space, const struct run *run) {
    const struct search_config *config = &run->config.search;
    const struct subnetwork largest = subnetwork_largest(&run->config.network);
    *space = (struct search_space){
        .network = &run->config.network, .seed = run->config.seed, .config = *config};
    for (int i = 0; i < config->budget_count; i++) {
        double initial;
        TRY(metric_create(&space->metrics[i], &config->budgets[i].metric, space->network));
        space->metric_count++;
        space->budgets[i] = config->budgets[i].value;
        if (config->budgets[i].share > 0) {
            TRY(metric_value(space->metrics[i], &largest, &initial));
            space->budgets[i] = config->budgets[i].share * initial;
        }
    }
    return STATUS_OK;
}

/* "macs 2.41 M, latency 3.2" */
static void describe_metrics(const struct search_space *space, const struct sample *sample,
                             char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < space->metric_count && used < size; i++) {
        char value[FORMAT_SIZE];
        if (sample->metrics[i] >= 1e5)
            format_millions(value, sample->metrics[i], 3);
        else
            snprintf(value, sizeof value, "%.4g", sample->metrics[i]);
        used += (size_t)snprintf(text + used, size - used, "%s%s %s", i ? ", " : "",
                                 metric_name(space->metrics[i]), value);
    }
}

static enum status write_found(const struct run *run, const struct search_space *space,
                               const struct sample *sample, const char *name) {
    char path[RUN_PATH], line[64], metrics[256], head[512];
    TRY(hash_line(run, line, sizeof line));
    describe_metrics(space, sample, metrics, sizeof metrics);
    snprintf(head, sizeof head,
             "found by taper: sample %d of search.jsonl\n%s\n%.2f %% of the hold-out images right "
             "with the super-network's weights\n%s",
             sample->number, metrics, 100 * sample->score, line);
    struct network alone;
    TRY(network_extract(&alone, space->network, &sample->sub));
    enum status status = network_write(&alone, run_path(run, name, path), head);
    network_release(&alone);
    return status;
}

static enum status report_iteration(const struct run *run, const struct search_space *space,
                                    const struct sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        char metrics[256];
        if (!samples[i].chosen)
            continue;
        describe_metrics(space, &samples[i], metrics, sizeof metrics);
        TRY(log_say(run->log,
                    "search: iteration %d: %s, %.2f %% of the hold-out images right (sample %d of "
                    "%d in it)",
                    samples[i].iteration, metrics, 100 * samples[i].score, i + 1, count));
    }
    return STATUS_OK;
}

static enum status score_samples(struct scorer *scorer, struct log *log, struct sample *samples,
                                 int count) {
    for (int i = 0; i < count; i++) {
        char line[128];
        if (interrupt_requested())
            return fail(STATUS_INTERRUPTED,
                        "the search is stopped before sample %d; the same command goes on",
                        samples[i].number);
        if (!samples[i].known)
            TRY(scorer_score(scorer, &samples[i].sub, &samples[i].score));
        snprintf(line, sizeof line, "search: iteration %d, sample %d of %d", samples[i].iteration,
                 i + 1, count);
        log_status_line(log, line);
    }
    return STATUS_OK;
}

static enum status iterate(struct run *run, const struct search_space *space,
                           struct strategy *strategy, struct scorer *scorer,
                           struct sample_file *file) {
    for (;;) {
        struct sample *samples;
        int count;
        TRY(strategy->type->ask(strategy->state, &samples, &count));
        if (count == 0)
            return STATUS_OK;
        TRY(score_samples(scorer, run->log, samples, count));
        TRY(strategy->type->tell(strategy->state, samples, count));
        TRY(sample_file_append(file, samples, count));
        TRY(times_save(&run->times));
        TRY(report_iteration(run, space, samples, count));
    }
}

/* Takes up what is on file, and goes on from there. */
static enum status search_with(struct run *run, const struct search_space *space,
                               struct strategy *strategy, struct scorer *scorer) {
    char path[RUN_PATH], hash_text[HASH_TEXT];
    uint64_t hash;
    struct sample_file file;
    struct sample *samples = NULL, best;
    int count, used;
    enum status status;
    TRY(run_hash(run, STEP_SEARCH, &hash, hash_text));
    TRY_CLEANUP(sample_file_open(&file, run_path(run, "search.jsonl", path), space, hash_text,
                                 &samples, &count));
    TRY_CLEANUP(strategy_replay(strategy, space, samples, count, &used));
    TRY_CLEANUP(sample_file_keep(&file, used));
    if (used > 0)
        TRY_CLEANUP(log_say(run->log, "search: going on after %d samples", used));
    TRY_CLEANUP(used > 0 ? times_start(&run->times, "search")
                         : times_restart(&run->times, "search"));
    TRY_CLEANUP(iterate(run, space, strategy, scorer, &file));
    if (!strategy->type->best(strategy->state, &best)) {
        status = fail(STATUS_FAILED, "the search ended without a network that meets every budget");
        goto done;
    }
    TRY_CLEANUP(write_found(run, space, &best, "found.yaml"));
    TRY_CLEANUP(times_save(&run->times));
done:
    free(samples);
    sample_file_close(&file);
    return status;
}

enum status search_check(struct run *run) {
    char warning[256];
    struct search_space space = {0};
    struct strategy strategy = {0};
    enum status status;
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(strategy_create(&strategy, &space, warning));
    if (warning[0] != '\0')
        TRY_CLEANUP(log_say(run->log, "warning: %s", warning));
done:
    strategy_release(&strategy);
    space_release(&space);
    return status;
}

static enum status create_scorer(struct run *run, struct scorer *scorer) {
    struct parameters parameters;
    real *weights = NULL;
    enum status status;
    struct pass_options options = run_pass_options(&run->config);
    struct image_set calibration = run_calibration_images(run), holdout = run_scored_images(run);
    TRY(parameters_of(&parameters, &run->config.network));
    TRY_CLEANUP(
        allocate(&weights, parameters.size + READ_SLACK, sizeof(real), "the super-network"));
    TRY_CLEANUP(supernet_weights(run, &parameters, weights));
    TRY_CLEANUP(scorer_create(scorer, &run->config.network, run->ops, run->pool, &options, weights,
                              &calibration, &holdout));
done:
    free(weights);
    parameters_release(&parameters);
    return status;
}

enum status run_search(struct run *run) {
    bool finished;
    char warning[256], took[FORMAT_SIZE];
    TRY(is_done(run, &finished));
    if (finished)
        return log_say(run->log, "search: done before");
    struct search_space space = {0};
    struct strategy strategy = {0};
    struct scorer scorer = {0};
    enum status status;
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(strategy_create(&strategy, &space, warning));
    TRY_CLEANUP(run_load_pictures(run));
    TRY_CLEANUP(create_scorer(run, &scorer));
    TRY_CLEANUP(search_with(run, &space, &strategy, &scorer));
    TRY_CLEANUP(log_say(run->log, "search done in %s: %s/found.yaml",
                        format_duration(took, times_of(&run->times, "search")), run->folder));
done:
    scorer_release(&scorer);
    strategy_release(&strategy);
    space_release(&space);
    return status;
}

static enum status write_point(const struct run *run, const struct search_space *space,
                               const struct sample *samples, int count, int point) {
    char name[64];
    int points = 0;
    for (int i = 0; i < count; i++) {
        if (!samples[i].chosen)
            continue;
        if (points++ < point)
            continue;
        snprintf(name, sizeof name, "found-%d.yaml", point);
        return write_found(run, space, &samples[i], name);
    }
    return fail(STATUS_USAGE, "--point %d: the trade-off curve has the points 0 to %d", point,
                points - 1);
}

enum status search_point(struct run *run, int point) {
    char path[RUN_PATH], hash_text[HASH_TEXT];
    uint64_t hash;
    struct search_space space = {0};
    struct sample_file file = {.lines.file = -1};
    struct sample *samples = NULL;
    int count;
    enum status status;
    TRY(search_must_be_done(run));
    TRY(run_hash(run, STEP_SEARCH, &hash, hash_text));
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(sample_file_open(&file, run_path(run, "search.jsonl", path), &space, hash_text,
                                 &samples, &count));
    TRY_CLEANUP(write_point(run, &space, samples, count, point));
done:
    free(samples);
    sample_file_close(&file);
    space_release(&space);
    return status;
}
