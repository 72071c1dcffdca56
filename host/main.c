/* taper: finds the command, and is the only place that prints errors and ends the process. */
#include "commands/commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_run,     &command_supernet, &command_search,   &command_train,   &command_evaluate,
    &command_predict, &command_export,   &command_estimate, &command_latency, &command_report,
    &command_data,    &command_doctor,   &command_help,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *file) {
    fputs("Usage: taper COMMAND [OPTION...] CONFIG|FOLDER\n"
          "Neural architecture search: trains a super-network once, searches it under a budget, "
          "trains what was found.\n\n",
          file);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nOptions of a command: taper COMMAND --help\n"
          "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 interrupted with "
          "everything saved, 4 another rank was lost\n",
          file);
}

static enum status dispatch(int argc, char **argv) {
    char name[64];
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        snprintf(name, sizeof name, "taper %s", commands[i]->name);
        argv[1] = name;
        return commands[i]->run(argc - 1, argv + 1);
    }
    return fail(STATUS_USAGE, "there is no command `%s`; see taper --help", argv[1]);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return STATUS_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("taper " TAPER_VERSION);
        return STATUS_OK;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file over a limit is a failed write, with a sentence */
    enum status status = dispatch(argc, argv);
    if (status == STATUS_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = fail(STATUS_FAILED, "cannot write to the standard output");
    if (status != STATUS_OK && failure()[0] != '\0') /* else the ranks have said it */
        fprintf(stderr, "%s: %s\n", status == STATUS_INTERRUPTED ? "interrupted" : "error",
                failure());
    return status;
}
