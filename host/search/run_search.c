#include "search/run_search.h"
#include "report/format.h"
#include "search/found.h"
#include "search/score_samples.h"
#include "support/memory.h"
#include "training/train_supernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char scores_name[] = "search.scores.jsonl"; /* of an unfinished iteration */

static enum status report_iteration(const struct run *run, const struct search_space *space,
                                    const struct sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        char metrics[256];
        if (!samples[i].chosen)
            continue;
        space_describe(space, &samples[i], metrics, sizeof metrics);
        TRY(log_say(run->log,
                    "search: iteration %d: %s, %.2f %% of the hold-out images right (sample %d of "
                    "%d in it)",
                    samples[i].iteration, metrics, 100 * samples[i].score, i + 1, count));
    }
    return STATUS_OK;
}

static enum status iterate(struct run *run, const struct search_space *space,
                           struct strategy *strategy, struct scorer *scorer,
                           struct sample_file *file) {
    for (;;) {
        struct sample *samples;
        int count;
        enum status status = strategy->type->ask(strategy->state, &samples, &count);
        if (status == STATUS_INTERRUPTED)
            TRY(times_save(&run->times));
        TRY(status);
        if (count == 0)
            return STATUS_OK;
        TRY(score_samples(run, scorer, file, samples, count));
        TRY(strategy->type->tell(strategy->state, samples, count));
        TRY(sample_file_append(file, samples, count));
        TRY(times_save(&run->times));
        TRY(report_iteration(run, space, samples, count));
    }
}

/* Takes up what is on file, and goes on from there. */
static enum status go_on(struct run *run, const struct search_space *space,
                         struct strategy *strategy, struct scorer *scorer, struct sample_file *file,
                         const struct sample *samples, int count) {
    struct sample best;
    int used;
    enum status status = strategy_replay(strategy, space, samples, count, &used);
    if (status != STATUS_OK)
        return fail_in(status, "%s/search.jsonl", run->folder);
    TRY(sample_file_keep(file, used));
    if (used > 0)
        TRY(log_say(run->log, "search: going on after %d samples", used));
    TRY(used > 0 ? times_start(&run->times, "search") : times_restart(&run->times, "search"));
    TRY(iterate(run, space, strategy, scorer, file));
    if (!strategy->type->best(strategy->state, &best))
        return fail(STATUS_FAILED, "the search ended without a network that meets every budget");
    TRY(found_write(run, space, &best, "found.yaml"));
    return times_save(&run->times);
}

static enum status search_with(struct run *run, const struct search_space *space,
                               struct strategy *strategy, struct scorer *scorer) {
    char path[RUN_PATH], scores_path[RUN_PATH], hash_text[HASH_TEXT];
    uint64_t hash;
    struct sample_file file;
    struct sample *samples;
    int count;
    TRY(run_hash(run, STEP_SEARCH, &hash, hash_text));
    run_path(run, "search.jsonl", path);
    run_path(run, scores_name, scores_path);
    TRY(samples_read(path, space, hash_text, &samples, &count));
    enum status status = sample_file_open(&file, path, scores_path, space, hash_text);
    if (status == STATUS_OK)
        status = go_on(run, space, strategy, scorer, &file, samples, count);
    sample_file_close(&file);
    free(samples);
    if (status == STATUS_OK)
        unlink(scores_path);
    return status;
}

enum status search_check(const struct run *run, char warning[SEARCH_WARNING]) {
    bool finished;
    struct search_space space = {0};
    struct strategy strategy = {0};
    enum status status;
    warning[0] = '\0';
    TRY(search_is_done(run, &finished));
    if (finished)
        return STATUS_OK;
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(strategy_create(&strategy, &space, warning));
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
    TRY(parameters_of(&parameters, &run->config.network));
    TRY_CLEANUP(
        allocate(&weights, parameters.size + READ_SLACK, sizeof(real), "the super-network"));
    TRY_CLEANUP(supernet_weights(run, &parameters, weights));
    TRY_CLEANUP(scorer_create(scorer, &run->config.network, run->ops, run->pool, &options, weights,
                              run->sets.calibration, run->sets.scored));
done:
    free(weights);
    parameters_release(&parameters);
    return status;
}

static enum status search(struct run *run, struct scorer *scorer) {
    struct search_space space = {0};
    struct strategy strategy = {0};
    char warning[SEARCH_WARNING], took[FORMAT_SIZE];
    enum status status;
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(strategy_create(&strategy, &space, warning));
    TRY_CLEANUP(search_with(run, &space, &strategy, scorer));
    TRY_CLEANUP(log_say(run->log, "search done in %s: %s/found.yaml",
                        format_duration(took, times_of(&run->times, "search")), run->folder));
done:
    strategy_release(&strategy);
    space_release(&space);
    return status;
}

static enum status done_before(struct run *run) {
    char scores_path[RUN_PATH]; /* of a run killed just before it removed them */
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    unlink(run_path(run, scores_name, scores_path));
    return log_say(run->log, "search: done before");
}

enum status run_search(struct run *run) {
    bool finished;
    struct scorer scorer = {0};
    enum status status;
    TRY(run_decide(run, search_is_done, &finished));
    if (finished)
        return done_before(run);
    TRY_CLEANUP(run_load_pictures(run));
    TRY_CLEANUP(create_scorer(run, &scorer));
    if (cluster_first(run->cluster))
        status = score_end(run, search(run, &scorer));
    else
        status = score_help(run, &scorer);
done:
    scorer_release(&scorer);
    return status;
}
