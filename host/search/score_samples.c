#include "search/score_samples.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* What rank 0 says before every round. */
struct order {
    int samples; /* of this round; 0: there is no more */
    enum status ended;
};

/* Samples of one resolution, dealt to the ranks in their order. */
struct round {
    struct subnetwork *subs;
    struct sample **samples; /* whose scores these will be (rank 0) */
    double *scores;
    size_t *ends; /* [rank] of its scores, in bytes */
    int count, most, ranks, resolution;
};

static void release(struct round *round) {
    free(round->subs);
    free(round->samples);
    free(round->scores);
    free(round->ends);
}

static enum status create(struct round *round, const struct run *run) {
    size_t ranks = (size_t)cluster_ranks(run->cluster), most = ranks * SCORED_TOGETHER;
    *round = (struct round){.most = (int)most, .ranks = (int)ranks};
    enum status status;
    TRY_CLEANUP(allocate(&round->subs, most, sizeof *round->subs, "a round of samples"));
    TRY_CLEANUP(allocate(&round->samples, most, sizeof(void *), "a round of samples"));
    TRY_CLEANUP(allocate(&round->scores, most, sizeof *round->scores, "a round of samples"));
    TRY_CLEANUP(allocate(&round->ends, ranks, sizeof *round->ends, "a round of samples"));
    return STATUS_OK;
done:
    release(round);
    return status;
}

static enum status score_own(struct run *run, struct scorer *scorer, struct round *round) {
    const struct subnetwork *own[SCORED_TOGETHER];
    int rank = cluster_rank(run->cluster);
    int first = cluster_share(round->count, rank, round->ranks);
    int count = cluster_share(round->count, rank + 1, round->ranks) - first;
    if (count == 0)
        return STATUS_OK;
    for (int i = 0; i < count; i++)
        own[i] = &round->subs[first + i];
    TRY(picture_sets_decode(&run->sets, subnetwork_resolution(&run->config.network, own[0]),
                            run->pool));
    return scorer_score(scorer, own, count, round->scores + first);
}

/* All ranks: the round's sub-networks are rank 0's, the scores everybody's. */
static enum status score_round(struct run *run, struct scorer *scorer, struct round *round) {
    TRY(cluster_broadcast(run->cluster, round->subs, (size_t)round->count * sizeof *round->subs));
    TRY(score_own(run, scorer, round));
    for (int rank = 0; rank < round->ranks; rank++)
        round->ends[rank] =
            (size_t)cluster_share(round->count, rank + 1, round->ranks) * sizeof *round->scores;
    return cluster_gather(run->cluster, round->scores, round->ends);
}

/* The first samples without a score, as many of their resolution as a round takes. */
static void fill_round(struct round *round, const struct run *run, struct sample *samples,
                       const bool *scored, int count) {
    round->count = 0;
    for (int i = 0; i < count && round->count < round->most; i++) {
        int resolution = subnetwork_resolution(&run->config.network, &samples[i].sub);
        if (scored[i] || (round->count > 0 && resolution != round->resolution))
            continue;
        round->resolution = resolution;
        round->subs[round->count] = samples[i].sub;
        round->samples[round->count++] = &samples[i];
    }
}

static enum status finish_round(struct run *run, struct scorer *scorer, struct sample_file *file,
                                struct round *round) {
    struct order order = {.samples = round->count};
    TRY(cluster_broadcast(run->cluster, &order, sizeof order));
    TRY(score_round(run, scorer, round));
    for (int i = 0; i < round->count; i++) {
        round->samples[i]->score = round->scores[i];
        TRY(sample_file_keep_score(file, round->samples[i]));
    }
    return STATUS_OK;
}

static enum status check_interrupt(struct run *run, const struct sample *next) {
    if (!interrupt_requested())
        return STATUS_OK;
    TRY(times_save(&run->times));
    return fail(STATUS_INTERRUPTED,
                "the search is stopped before sample %d; the same command goes on", next->number);
}

static enum status score_all(struct run *run, struct scorer *scorer, struct sample_file *file,
                             struct sample *samples, bool *scored, int count, struct round *round) {
    int done = 0;
    for (int i = 0; i < count; i++)
        done += scored[i] = samples[i].known || sample_file_score(file, &samples[i]);
    while (done < count) {
        char line[128];
        fill_round(round, run, samples, scored, count);
        TRY(check_interrupt(run, round->samples[0]));
        TRY(finish_round(run, scorer, file, round));
        for (int i = 0; i < round->count; i++)
            scored[round->samples[i] - samples] = true;
        done += round->count;
        snprintf(line, sizeof line, "search: iteration %d, sample %d of %d", samples[0].iteration,
                 done, count);
        log_status_line(run->log, line);
    }
    return STATUS_OK;
}

enum status score_samples(struct run *run, struct scorer *scorer, struct sample_file *file,
                          struct sample *samples, int count) {
    struct round round;
    bool *scored = NULL;
    TRY(create(&round, run));
    enum status status =
        allocate(&scored, (size_t)count, sizeof *scored, "the samples of an iteration");
    if (status == STATUS_OK)
        status = score_all(run, scorer, file, samples, scored, count, &round);
    free(scored);
    release(&round);
    return status;
}

enum status score_end(struct run *run, enum status status) {
    struct order order = {.ended = status};
    if (status != STATUS_OK && status != STATUS_INTERRUPTED)
        return status;
    TRY(cluster_broadcast(run->cluster, &order, sizeof order));
    return status;
}

enum status score_help(struct run *run, struct scorer *scorer) {
    struct round round;
    struct order order;
    TRY(create(&round, run));
    enum status status;
    for (;;) {
        TRY_CLEANUP(cluster_broadcast(run->cluster, &order, sizeof order));
        if (order.samples == 0)
            break;
        round.count = order.samples;
        TRY_CLEANUP(score_round(run, scorer, &round));
    }
    status = order.ended;
    if (status == STATUS_INTERRUPTED)
        status = fail(status, "the search is stopped");
done:
    release(&round);
    return status;
}
