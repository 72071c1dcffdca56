#include "report/progress.h"
#include "report/format.h"

#include <jansson.h>

#include <stdio.h>

static const double SECONDS_PER_LINE = 5, SECONDS_PER_STATUS_LINE = 0.2;

void progress_begin(struct progress *progress, struct log *log, const char *step, int64_t done,
                    int64_t total) {
    double now = log_seconds();
    *progress = (struct progress){
        .log = log, .step = step, .total = total, .first = done, .began = now, .logged = now};
}

/* The averages since the last object in the log. */
struct averages {
    double loss, accuracy, speed, waiting;
};

static struct averages averages(const struct progress *progress, double now) {
    double seconds = now - progress->logged;
    return (struct averages){.loss = progress->loss / (double)progress->steps,
                             .accuracy = (double)progress->correct / (double)progress->images,
                             .speed = (double)progress->images / seconds,
                             .waiting = progress->waited / seconds};
}

static void describe(const struct progress *progress, int64_t done, double now, char *line,
                     size_t size) {
    struct averages mean = averages(progress, now);
    double left = (now - progress->began) * (double)(progress->total - done) /
                  (double)(done - progress->first);
    char eta[FORMAT_SIZE], speed[FORMAT_SIZE];
    snprintf(line, size,
             "%s %lld/%lld  %s left  %s images/s  loss %.3f  accuracy %.1f %%  waiting for data "
             "%.0f %%",
             progress->step, (long long)done, (long long)progress->total,
             format_duration(eta, left), format_count(speed, mean.speed), mean.loss,
             100 * mean.accuracy, 100 * mean.waiting);
}

static enum status log_line(struct progress *progress, const struct progress_step *step,
                            double now) {
    struct averages mean = averages(progress, now);
    TRY(log_event(progress->log, "{s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "event",
                  "progress", "step", progress->step, "at", (json_int_t)step->done, "of",
                  (json_int_t)progress->total, "loss", mean.loss, "accuracy", mean.accuracy,
                  "learning_rate", step->rate, "images_per_second", mean.speed, "waiting",
                  mean.waiting));
    progress->logged = now;
    progress->steps = progress->images = progress->correct = 0;
    progress->loss = progress->waited = 0;
    return STATUS_OK;
}

enum status progress_step(struct progress *progress, const struct progress_step *step) {
    progress->steps++;
    progress->images += step->images;
    progress->correct += step->correct;
    progress->loss += step->loss;
    progress->waited += step->waited;
    double now = log_seconds();
    char line[256];
    bool last = step->done == progress->total, due = now - progress->logged >= SECONDS_PER_LINE;
    if (log_on_terminal(progress->log) && now - progress->shown >= SECONDS_PER_STATUS_LINE) {
        describe(progress, step->done, now, line, sizeof line);
        log_status_line(progress->log, line);
        progress->shown = now;
    }
    if (!due && !last)
        return STATUS_OK;
    if (progress->log != NULL && !log_on_terminal(progress->log)) {
        describe(progress, step->done, now, line, sizeof line);
        puts(line);
        fflush(stdout);
    }
    return log_line(progress, step, now);
}
