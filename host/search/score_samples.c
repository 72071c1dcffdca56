#include "search/score_samples.h"
#include "support/interrupt.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* What rank 0 says before every round. */
struct order {
    int samples; /* of this round, for as many ranks from 0 on; 0: there is no more */
    enum status ended;
};

struct round {
    struct subnetwork *subs; /* [rank] */
    struct sample **samples; /* [rank] whose scores these will be (rank 0) */
    double *scores;          /* [rank] */
    size_t *ends;            /* [rank] of the scores, in bytes */
    int count, ranks;
};

static void release(struct round *round) {
    free(round->subs);
    free(round->samples);
    free(round->scores);
    free(round->ends);
}

static enum status create(struct round *round, const struct run *run) {
    size_t ranks = (size_t)cluster_ranks(run->cluster);
    *round = (struct round){.ranks = (int)ranks};
    enum status status;
    TRY_CLEANUP(allocate(&round->subs, ranks, sizeof *round->subs, "a round of samples"));
    TRY_CLEANUP(allocate(&round->samples, ranks, sizeof(void *), "a round of samples"));
    TRY_CLEANUP(allocate(&round->scores, ranks, sizeof *round->scores, "a round of samples"));
    TRY_CLEANUP(allocate(&round->ends, ranks, sizeof *round->ends, "a round of samples"));
    for (size_t rank = 0; rank < ranks; rank++)
        round->ends[rank] = (rank + 1) * sizeof *round->scores;
    return STATUS_OK;
done:
    release(round);
    return status;
}

/* All ranks: the round's sub-networks are rank 0's, the scores everybody's. */
static enum status score_round(struct run *run, struct scorer *scorer, struct round *round) {
    int own = cluster_rank(run->cluster);
    TRY(cluster_broadcast(run->cluster, round->subs, (size_t)round->count * sizeof *round->subs));
    if (own < round->count) {
        const struct subnetwork *sub = &round->subs[own];
        int resolution = subnetwork_resolution(&run->config.network, sub);
        TRY(picture_sets_decode(&run->sets, resolution, run->pool));
        TRY(scorer_score(scorer, sub, &round->scores[own]));
    }
    return cluster_gather(run->cluster, round->scores, round->ends);
}

static enum status finish_round(struct run *run, struct scorer *scorer, struct sample_file *file,
                                struct round *round) {
    struct order order = {.samples = round->count};
    if (round->count == 0)
        return STATUS_OK;
    for (int i = 0; i < round->count; i++)
        round->subs[i] = round->samples[i]->sub;
    TRY(cluster_broadcast(run->cluster, &order, sizeof order));
    TRY(score_round(run, scorer, round));
    for (int i = 0; i < round->count; i++) {
        round->samples[i]->score = round->scores[i];
        TRY(sample_file_keep_score(file, round->samples[i]));
    }
    round->count = 0;
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
                             struct sample *samples, int count, struct round *round) {
    for (int i = 0; i < count; i++) {
        char line[128];
        if (round->count == 0)
            TRY(check_interrupt(run, &samples[i]));
        if (!samples[i].known && !sample_file_score(file, &samples[i]))
            round->samples[round->count++] = &samples[i];
        if (round->count == round->ranks || i == count - 1)
            TRY(finish_round(run, scorer, file, round));
        snprintf(line, sizeof line, "search: iteration %d, sample %d of %d", samples[i].iteration,
                 i + 1, count);
        log_status_line(run->log, line);
    }
    return STATUS_OK;
}

enum status score_samples(struct run *run, struct scorer *scorer, struct sample_file *file,
                          struct sample *samples, int count) {
    struct round round;
    TRY(create(&round, run));
    enum status status = score_all(run, scorer, file, samples, count, &round);
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
