/* A strategy's state is the samples that it was told. */
#include "search/strategy.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

/* Counted metrics are what they were, unless the network is another one. Outside ones may be noisy
 * and slow: what was measured stands. */
static enum status check_metrics(const struct search_space *space, const struct sample *sample) {
    for (int i = 0; i < space->metric_count; i++) {
        double value;
        if (metric_slow(space->metrics[i]))
            continue;
        TRY(metric_value(space->metrics[i], &sample->sub, &value));
        if (value != sample->metrics[i])
            return fail(STATUS_FAILED,
                        "search: sample %d has %s %.10g on file and %.10g in this network",
                        sample->number, metric_name(space->metrics[i]), sample->metrics[i], value);
    }
    return STATUS_OK;
}

/* Tells a copy, because tell sets `chosen`: it must come out as it did the first time. */
static enum status tell_again(struct strategy *strategy, const struct sample *samples,
                              struct sample *copy, int count) {
    memcpy(copy, samples, (size_t)count * sizeof *samples);
    TRY(strategy->type->tell(strategy->state, copy, count));
    for (int i = 0; i < count; i++)
        if (copy[i].chosen != samples[i].chosen)
            return fail(STATUS_FAILED, "search: sample %d is%s chosen on file, but%s by its score",
                        samples[i].number, samples[i].chosen ? "" : " not",
                        samples[i].chosen ? " not" : "");
    return STATUS_OK;
}

enum status strategy_replay(struct strategy *strategy, const struct search_space *space,
                            const struct sample *samples, int count, int *used) {
    *used = 0;
    if (count == 0)
        return STATUS_OK;
    struct sample *copy;
    TRY(allocate(&copy, (size_t)count, sizeof *copy, "the samples on file"));
    enum status status = STATUS_OK;
    while (*used < count) {
        const struct sample *next = samples + *used;
        int size = next->iteration_samples;
        if (size < 1) {
            status = fail(STATUS_FAILED, "search: sample %d is of an iteration of %d samples",
                          next->number, size);
            break;
        }
        if (size > count - *used)
            break;
        for (int i = 0; i < size; i++)
            TRY_CLEANUP(check_metrics(space, &next[i]));
        TRY_CLEANUP(tell_again(strategy, next, copy, size));
        *used += size;
    }
done:
    free(copy);
    return status;
}
