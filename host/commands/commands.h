/* The commands of taper: one file each, which parses its arguments, calls the steps and prints. */
#ifndef TAPER_COMMANDS_H
#define TAPER_COMMANDS_H

#include "support/status.h"

struct command {
    const char *name;
    const char *summary;                       /* one line for `taper --help` */
    enum status (*run)(int argc, char **argv); /* argv[0]: "taper NAME" */
};

extern const struct command command_run, command_supernet, command_search, command_train,
    command_evaluate, command_predict, command_export, command_estimate, command_latency,
    command_report, command_doctor, command_data, command_help;

#endif
