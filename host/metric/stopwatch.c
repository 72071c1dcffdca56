#include "metric/stopwatch.h"
#include "support/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEWEST = 10,    /* numbers of a series, however slow they are */
    WARM_WINDOW = 5 /* runs whose median is compared with that of as many before */
};
/* Shares of the limit on time: what warming up may take, and what a series lasts at least, for it
 * to see what else goes on in the machine. */
static const double WARM_SHARE = 0.2, SERIES_SHARE = 0.1;

struct measuring {
    const struct stopwatch *watch;
    const struct latency_config *config;
    double spent; /* seconds, in all */
    double *times;
    int count, room;
};

static enum status run_once(struct measuring *measuring, double *seconds) {
    TRY(measuring->watch->run(measuring->watch->context, seconds));
    measuring->spent += *seconds;
    return STATUS_OK;
}

static enum status keep(struct measuring *measuring, double seconds) {
    if (measuring->count == measuring->room) {
        double *wider;
        int room = 2 * measuring->room + 256;
        TRY(allocate(&wider, (size_t)room, sizeof *wider, "a series of times"));
        if (measuring->count > 0)
            memcpy(wider, measuring->times, (size_t)measuring->count * sizeof *wider);
        free(measuring->times);
        measuring->times = wider;
        measuring->room = room;
    }
    measuring->times[measuring->count++] = seconds;
    return STATUS_OK;
}

static double window_median(const double *times) {
    double window[WARM_WINDOW];
    memcpy(window, times, sizeof window);
    median_sort(window, WARM_WINDOW);
    return window[WARM_WINDOW / 2];
}

/* Until it gets no faster; at least three runs, of which a device records the second. */
static enum status warm_up(struct measuring *measuring) {
    enum { FEWEST_WARM = 3 };
    const struct latency_config *config = measuring->config;
    double times[2 * WARM_WINDOW], seconds;
    for (int run = 0;; run++) {
        TRY(run_once(measuring, &seconds));
        times[run % (2 * WARM_WINDOW)] = seconds;
        if (run + 1 >= FEWEST_WARM && measuring->spent > WARM_SHARE * config->seconds)
            return STATUS_OK;
        if ((run + 1) % (2 * WARM_WINDOW) == 0 &&
            window_median(times + WARM_WINDOW) > window_median(times) * (1 - config->interval))
            return STATUS_OK;
    }
}

static enum status make_series(struct measuring *measuring, int wanted) {
    const struct latency_config *config = measuring->config;
    double begin = measuring->spent, seconds;
    measuring->count = 0;
    for (;;) {
        bool late = measuring->spent >= config->seconds;
        bool complete = measuring->count >= wanted &&
                        measuring->spent - begin >= SERIES_SHARE * config->seconds;
        if (measuring->count >= FEWEST && (late || complete))
            return STATUS_OK;
        TRY(run_once(measuring, &seconds));
        TRY(keep(measuring, seconds));
    }
}

static double median_value(double *times, int count) {
    median_sort(times, count);
    return median_of(times, count).value;
}

/* Sorts the series. */
static struct stopwatch_result summarise(const struct measuring *measuring) {
    double *times = measuring->times, wanted = measuring->config->interval;
    int count = measuring->count, third = count / 3;
    double first = median_value(times, third), last = median_value(times + count - third, third);
    median_sort(times, count);
    struct stopwatch_result result = {.median = median_of(times, count),
                                      .repetitions = count,
                                      .outliers = median_outliers(times, count),
                                      .drift = first > 0 ? last / first - 1 : 0};
    const struct median *median = &result.median;
    result.narrow = median->high - median->low <= wanted * median->value;
    result.steady = fabs(result.drift) <= 2 * wanted;
    return result;
}

static bool better(const struct stopwatch_result *a, const struct stopwatch_result *b) {
    if (a->steady != b->steady)
        return a->steady;
    return (a->median.high - a->median.low) / a->median.value <
           (b->median.high - b->median.low) / b->median.value;
}

static enum status measure(struct measuring *measuring, struct stopwatch_result *result) {
    const struct latency_config *config = measuring->config;
    int wanted = config->repetitions, series = 0;
    TRY(warm_up(measuring));
    do {
        TRY(make_series(measuring, wanted));
        struct stopwatch_result now = summarise(measuring);
        if (series++ == 0 || better(&now, result))
            *result = now;
        wanted = wanted < 1 << 20 ? 2 * wanted : wanted;
    } while (!(result->narrow && result->steady) && measuring->spent < config->seconds);
    result->series = series;
    return STATUS_OK;
}

enum status stopwatch_measure(const struct stopwatch *watch, const struct latency_config *config,
                              struct stopwatch_result *result) {
    struct measuring measuring = {.watch = watch, .config = config};
    *result = (struct stopwatch_result){0};
    enum status status = measure(&measuring, result);
    free(measuring.times);
    if (status == STATUS_OK && !(result->median.value > 0))
        return fail(STATUS_FAILED, "latency: the clock of this machine shows no time");
    return status;
}
