#include "commands/data.h"
#include "report/format.h"
#include "report/log.h"

#include <unistd.h>

static const double SECONDS_PER_LINE = 5, SECONDS_PER_STATUS_LINE = 0.2;

void data_meter_begin(struct data_meter *meter, const char *what, int first) {
    *meter = (struct data_meter){.what = what,
                                 .first = first,
                                 .began = log_seconds(),
                                 .shown = log_seconds(),
                                 .terminal = isatty(STDOUT_FILENO)};
}

void data_meter_show(struct data_meter *meter, int done, int total) {
    char now_done[FORMAT_SIZE], all[FORMAT_SIZE], left[FORMAT_SIZE], speed[FORMAT_SIZE];
    double now = log_seconds(), seconds = now - meter->began;
    if (now - meter->shown < (meter->terminal ? SECONDS_PER_STATUS_LINE : SECONDS_PER_LINE) ||
        done == meter->first)
        return;
    double rate = (done - meter->first) / seconds;
    printf("%s%s %s of %s, %s left, %s pictures/s%s", meter->on_line ? "\r" : "", meter->what,
           format_count(now_done, done), format_count(all, total),
           format_duration(left, (total - done) / rate), format_count(speed, rate),
           meter->terminal ? "\033[K" : "\n");
    fflush(stdout);
    meter->on_line = meter->terminal;
    meter->shown = now;
}

void data_meter_end(struct data_meter *meter) {
    if (meter->on_line)
        fputs("\r\033[K", stdout);
    meter->on_line = false;
}
