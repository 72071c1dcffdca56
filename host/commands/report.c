/* taper report: the page of a run, or of several side by side. */
#include "report/report.h"
#include "commands/commands.h"
#include "report/sections.h"

#include <argp.h>
#include <stdio.h>

struct arguments {
    int count;
    const char *folders[MOST_RUNS];
    const char *out;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->out = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->count == MOST_RUNS)
            argp_error(state, "at most %d runs side by side", MOST_RUNS);
        else
            arguments->folders[arguments->count++] = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a run folder is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static enum status execute(int argc, char **argv) {
    static const struct argp_option known[] = {
        {"out", 'o', "FILE", 0,
         "Page to write; default: report.html in the run's folder, of several comparison.html here",
         0},
        {0}};
    const struct argp argp = {
        .options = known, .parser = parse, .args_doc = "RUN...", .doc = command_report.summary};
    struct arguments arguments = {0};
    char path[4096];
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
        return fail(STATUS_USAGE, "the arguments cannot be read");
    if (arguments.out)
        snprintf(path, sizeof path, "%s", arguments.out);
    else if (arguments.count > 1)
        snprintf(path, sizeof path, "comparison.html");
    else
        snprintf(path, sizeof path, "%s/report.html", arguments.folders[0]);
    TRY(report_write(arguments.folders, arguments.count, path));
    printf("report written: %s\n", path);
    return STATUS_OK;
}

const struct command command_report = {
    "report", "Page of a run, finished or under way, or of several side by side (report.html)",
    execute};
