#include "search/run_search.h"
#include "report/format.h"
#include "search/found.h"
#include "search/sample_file.h"
#include "search/scoring.h"
#include "support/interrupt.h"
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

/* Samples of one resolution that are scored in one go. */
struct scored_together {
    int count, resolution;
    struct sample *samples[SCORED_TOGETHER];
};

static enum status score(struct run *run, struct scorer *scorer, struct sample_file *file,
                         const struct scored_together *together) {
    const struct subnetwork *subs[SCORED_TOGETHER];
    double scores[SCORED_TOGETHER];
    for (int i = 0; i < together->count; i++)
        subs[i] = &together->samples[i]->sub;
    TRY(picture_sets_decode(&run->sets, together->resolution, run->pool));
    TRY(scorer_score(scorer, subs, together->count, scores));
    for (int i = 0; i < together->count; i++) {
        together->samples[i]->score = scores[i];
        TRY(sample_file_keep_score(file, together->samples[i]));
    }
    return STATUS_OK;
}

/* The first ones that are still to be scored, in the order of their numbers. */
static struct scored_together next_together(const struct run *run, struct sample *samples,
                                            const bool *scored, int count) {
    struct scored_together next = {0};
    for (int i = 0; i < count && next.count < SCORED_TOGETHER; i++) {
        int resolution = subnetwork_resolution(&run->config.network, &samples[i].sub);
        if (scored[i] || (next.count > 0 && resolution != next.resolution))
            continue;
        next.resolution = resolution;
        next.samples[next.count++] = &samples[i];
    }
    return next;
}

static enum status score_rest(struct run *run, struct scorer *scorer, struct sample_file *file,
                              struct sample *samples, bool *scored, int count) {
    int done = 0;
    for (int i = 0; i < count; i++)
        done += scored[i];
    while (done < count) {
        char line[128];
        struct scored_together next = next_together(run, samples, scored, count);
        if (interrupt_requested()) {
            TRY(times_save(&run->times));
            return fail(STATUS_INTERRUPTED,
                        "the search is stopped before sample %d; the same command goes on",
                        next.samples[0]->number);
        }
        TRY(score(run, scorer, file, &next));
        for (int i = 0; i < next.count; i++)
            scored[next.samples[i] - samples] = true;
        done += next.count;
        snprintf(line, sizeof line, "search: iteration %d, sample %d of %d", samples[0].iteration,
                 done, count);
        log_status_line(run->log, line);
    }
    return STATUS_OK;
}

static enum status score_samples(struct run *run, struct scorer *scorer, struct sample_file *file,
                                 struct sample *samples, int count) {
    bool *scored;
    TRY(allocate(&scored, (size_t)count, sizeof *scored, "the samples of an iteration"));
    for (int i = 0; i < count; i++)
        scored[i] = samples[i].known || sample_file_score(file, &samples[i]);
    enum status status = score_rest(run, scorer, file, samples, scored, count);
    free(scored);
    return status;
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

enum status run_search(struct run *run) {
    bool finished;
    char warning[SEARCH_WARNING], took[FORMAT_SIZE];
    TRY(search_is_done(run, &finished));
    if (finished) {
        char scores_path[RUN_PATH]; /* of a run killed just before it removed them */
        unlink(run_path(run, scores_name, scores_path));
        return log_say(run->log, "search: done before");
    }
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
