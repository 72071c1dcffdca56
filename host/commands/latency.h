/* The commands of `taper latency` beside the measurement of one network, and what they share. */
#ifndef TAPER_COMMANDS_LATENCY_H
#define TAPER_COMMANDS_LATENCY_H

#include "commands/commands.h"
#include "commands/options.h"
#include "metric/bench.h"

extern const struct command latency_build, latency_check, latency_import;

/* What the configuration's device is measured on. */
enum status latency_bench(struct bench *bench, const struct config *config);

#endif
