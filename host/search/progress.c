#include "search/progress.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status progress_create(struct progress *progress, const struct search_space *space, int room) {
    *progress = (struct progress){.space = space, .room = room};
    progress->ledger.choices = space->network->choice_count;
    return allocate(&progress->samples, (size_t)room, sizeof *progress->samples,
                    "the samples of an iteration");
}

void progress_release(struct progress *progress) {
    ledger_release(&progress->ledger);
    free(progress->samples);
}

bool progress_is_new(const struct progress *progress, const struct subnetwork *sub) {
    const struct ledger_entry *entry = ledger_find(&progress->ledger, sub);
    bool is_new = !entry || isnan(entry->score);
    for (int i = 0; i < progress->count && is_new; i++)
        is_new = !subnetwork_equal(&progress->samples[i].sub, sub);
    return is_new;
}

void progress_add(struct progress *progress, const struct sample *sample) {
    struct sample *added = &progress->samples[progress->count];
    *added = *sample;
    added->number = progress->told + progress->count++;
    added->iteration = progress->iteration;
    added->chosen = false;
}

void progress_answer(struct progress *progress, struct sample **samples, int *count) {
    for (int i = 0; i < progress->count; i++)
        progress->samples[i].iteration_samples = progress->count;
    *samples = progress->samples;
    *count = progress->count;
}

enum status progress_ask(struct progress *progress, enum status (*draw)(void *strategy),
                         void *strategy, struct sample **samples, int *count) {
    enum status status = progress->count == 0 ? draw(strategy) : STATUS_OK;
    if (status != STATUS_OK) {
        progress->count = 0; /* half an answer must not be taken for a whole one */
        return status;
    }
    progress_answer(progress, samples, count);
    return STATUS_OK;
}

enum status progress_check(const struct progress *progress, const struct sample *samples,
                           int count) {
    for (int i = 0; i < count; i++) {
        const struct sample *sample = &samples[i];
        struct subnetwork canonical = subnetwork_canonical(progress->space->network, sample->sub);
        if (sample->number != progress->told + i || sample->iteration != progress->iteration ||
            sample->iteration_samples != count || !subnetwork_equal(&canonical, &sample->sub))
            return fail(STATUS_FAILED,
                        "search: sample %d of iteration %d is told where sample %d, of iteration "
                        "%d, comes next",
                        sample->number, sample->iteration, progress->told + i, progress->iteration);
        if (!isfinite(sample->score))
            return fail(STATUS_FAILED, "search: sample %d has the score %g", sample->number,
                        sample->score);
    }
    return STATUS_OK;
}

enum status progress_tell(struct progress *progress, const struct sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        struct ledger_entry *entry;
        TRY(ledger_entry(&progress->ledger, &samples[i].sub, &entry));
        memcpy(entry->metrics, samples[i].metrics, sizeof entry->metrics);
        entry->score = samples[i].score;
    }
    progress->told += count;
    progress->iteration++;
    progress->count = 0;
    return STATUS_OK;
}

bool better(const struct sample *a, const struct sample *b) {
    return a->score > b->score || (a->score == b->score && a->metrics[0] < b->metrics[0]);
}

int best_of(const struct sample *samples, int count) {
    int best = 0;
    for (int i = 1; i < count; i++)
        if (better(&samples[i], &samples[best]))
            best = i;
    return best;
}

bool all_within(const struct search_space *space, const double *metrics, const double *limits) {
    for (int i = 0; i < space->metric_count; i++)
        if (metrics[i] > limits[i])
            return false;
    return true;
}
