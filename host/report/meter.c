#include "report/meter.h"
#include "report/format.h"

#include <jansson.h>

#include <stdio.h>

static const double SECONDS_PER_LINE = 5, SECONDS_PER_STATUS_LINE = 0.2;

void meter_begin(struct meter *meter, struct log *log, const char *step, int64_t done,
                 int64_t total) {
    double now = log_seconds();
    *meter = (struct meter){
        .log = log, .step = step, .total = total, .first = done, .began = now, .logged = now};
}

/* The averages since the last object in the log. */
struct averages {
    double loss, accuracy, speed, waiting;
};

static struct averages averages(const struct meter *meter, double now) {
    double seconds = now - meter->logged;
    return (struct averages){.loss = meter->loss / (double)meter->steps,
                             .accuracy = (double)meter->correct / (double)meter->images,
                             .speed = (double)meter->images / seconds,
                             .waiting = meter->waited / seconds};
}

static void describe(const struct meter *meter, int64_t done, double now, char *line, size_t size) {
    struct averages mean = averages(meter, now);
    double left =
        (now - meter->began) * (double)(meter->total - done) / (double)(done - meter->first);
    char eta[FORMAT_SIZE], speed[FORMAT_SIZE];
    snprintf(line, size,
             "%s %lld/%lld  %s left  %s images/s  loss %.3f  accuracy %.1f %%  waiting for data "
             "%.0f %%",
             meter->step, (long long)done, (long long)meter->total, format_duration(eta, left),
             format_count(speed, mean.speed), mean.loss, 100 * mean.accuracy, 100 * mean.waiting);
}

static enum status log_line(struct meter *meter, const struct meter_step *step, double now) {
    struct averages mean = averages(meter, now);
    TRY(log_event(meter->log, "{s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "event", "progress",
                  "step", meter->step, "at", (json_int_t)step->done, "of", (json_int_t)meter->total,
                  "loss", mean.loss, "accuracy", mean.accuracy, "learning_rate", step->rate,
                  "images_per_second", mean.speed, "waiting", mean.waiting));
    meter->logged = now;
    meter->steps = meter->images = meter->correct = 0;
    meter->loss = meter->waited = 0;
    return STATUS_OK;
}

enum status meter_step(struct meter *meter, const struct meter_step *step) {
    meter->steps++;
    meter->images += step->images;
    meter->correct += step->correct;
    meter->loss += step->loss;
    meter->waited += step->waited;
    double now = log_seconds();
    char line[256];
    bool last = step->done == meter->total, due = now - meter->logged >= SECONDS_PER_LINE;
    if (log_on_terminal(meter->log) && now - meter->shown >= SECONDS_PER_STATUS_LINE) {
        describe(meter, step->done, now, line, sizeof line);
        log_status_line(meter->log, line);
        meter->shown = now;
    }
    if (!due && !last)
        return STATUS_OK;
    if (meter->log != NULL && !log_on_terminal(meter->log)) {
        describe(meter, step->done, now, line, sizeof line);
        puts(line);
        fflush(stdout);
    }
    return log_line(meter, step, now);
}
