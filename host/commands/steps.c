#include "commands/steps.h"
#include "commands/export_formats.h"
#include "report/format.h"
#include "report/report.h"
#include "search/found.h"
#include "search/run_search.h"
#include "support/file.h"
#include "support/interrupt.h"
#include "support/machine.h"
#include "training/evaluate_found.h"
#include "training/train_found.h"
#include "training/train_supernet.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum status steps_report(struct run *run) {
    char path[RUN_PATH];
    const char *folder = run->folder;
    if (report_write(&folder, 1, run_path(run, "report.html", path)) == STATUS_OK)
        return STATUS_OK;
    enum status status = log_say(run->log, "warning: no new report: %s", failure());
    failure_clear();
    return status;
}

static enum status prepare(struct run *run, const struct options *options) {
    char path[RUN_PATH], processor[128];
    bool done;
    TRY(supernet_is_done(run, &done));
    if (options->supernet)
        TRY(supernet_adopt(run, options->supernet));
    TRY(config_write(&run->config, run_path(run, "config.yaml", path)));
    machine_processor(processor, sizeof processor);
    TRY(log_event(run->log, "{s:s, s:s, s:s, s:s, s:s, s:i}", "event", "start", "version",
                  TAPER_VERSION, "build", TAPER_BUILD, "device", run->ops->name, "processor",
                  processor, "threads", pool_threads(run->pool)));
    /* A page from the first moment; one of earlier results waits for new ones. */
    return file_exists(run_path(run, "report.html", path)) ? STATUS_OK : steps_report(run);
}

static enum status begin(struct run *run, const struct options *options) {
    struct config config;
    TRY(options_read_config(options, &config));
    run_begin(run, &config);
    return STATUS_OK;
}

enum status steps_open(struct run *run, const struct options *options) {
    TRY(begin(run, options));
    enum status status = run_open(run);
    if (status == STATUS_OK)
        interrupt_catch();
    else
        run_close(run);
    return status;
}

enum status steps_begin(struct run *run, const struct options *options, bool searches) {
    char warning[SEARCH_WARNING] = "";
    enum status status;
    TRY(begin(run, options));
    if (searches)
        TRY_CLEANUP(search_check(run, warning));
    TRY_CLEANUP(found_check_init(run));
    TRY_CLEANUP(run_open(run));
    interrupt_catch();
    if (warning[0] != '\0')
        TRY_CLEANUP(log_say(run->log, "warning: %s", warning));
    TRY_CLEANUP(prepare(run, options));
done:
    if (status != STATUS_OK)
        run_close(run);
    return status;
}

const char *steps_name(const struct options *options, char name[32]) {
    if (options->point >= 0)
        snprintf(name, 32, "found-%d", options->point);
    else if (options->sample >= 0)
        snprintf(name, 32, "found-sample-%d", options->sample);
    else
        snprintf(name, 32, "found");
    return name;
}

static enum status report_done(struct run *run, const char *name, const char *step) {
    double accuracy;
    struct cost cost;
    TRY(found_accuracy(run, name, &accuracy));
    TRY(found_cost(run, name, &cost));
    struct subnetwork largest = subnetwork_largest(&run->config.network);
    double initial = network_cost(&run->config.network, &largest).macs;
    double supernet = times_of(&run->times, "supernet"), search = times_of(&run->times, "search");
    double training = times_of(&run->times, step);
    char macs[FORMAT_SIZE], all_macs[FORMAT_SIZE], parameters[FORMAT_SIZE], total[FORMAT_SIZE];
    char first[FORMAT_SIZE], second[FORMAT_SIZE], third[FORMAT_SIZE];
    TRY(log_say(run->log,
                "%.2f %% of the test images right with %s MACs (%.1f %% of the initial network's "
                "%s), %s parameters, in %s (super-network %s, search %s, training %s)",
                100 * accuracy, format_millions(macs, cost.macs, 2), 100 * cost.macs / initial,
                format_millions(all_macs, initial, 2), format_count(parameters, cost.parameters),
                format_duration(total, supernet + search + training),
                format_duration(first, supernet), format_duration(second, search),
                format_duration(third, training)));
    TRY(log_event(run->log, "{s:s, s:f, s:I, s:I, s:I, s:{s:f, s:f, s:f}}", "event", "done",
                  "test_accuracy", accuracy, "macs", (json_int_t)cost.macs, "initial_macs",
                  (json_int_t)initial, "parameters", (json_int_t)cost.parameters, "seconds",
                  "supernet", supernet, "search", search, "train", training));
    return steps_report(run);
}

static enum status evaluate(struct run *run, const char *name) {
    struct tables tables;
    if (evaluation_is_done(run, name))
        return STATUS_OK;
    enum status status = evaluate_found(run, name, NULL, &tables);
    tables_release(&tables);
    return status;
}

enum status steps_train(struct run *run, const struct options *options) {
    char name[32];
    TRY(search_must_be_done(run));
    steps_name(options, name);
    if (options->point >= 0)
        TRY(search_point(run, options->point, name));
    else if (options->sample >= 0)
        TRY(search_sample(run, options->sample, name));
    TRY(train_found(run, name));
    TRY(export_formats(run, options, name));
    TRY(evaluate(run, name));
    return report_done(run, name, strcmp(name, "found") == 0 ? "train" : name);
}
