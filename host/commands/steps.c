#include "commands/steps.h"
#include "cluster/launch.h"
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
    if (!cluster_first(run->cluster))
        return STATUS_OK;
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

/* What rank 0 finds out before the others begin to work. */
static enum status check(struct run *run, enum steps_kind kind, char warning[SEARCH_WARNING]) {
    warning[0] = '\0';
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    if (kind == STEPS_SEARCH)
        TRY(search_check(run, warning));
    return found_check_init(run);
}

static enum status begin_work(struct run *run, const struct options *options,
                              enum steps_kind kind) {
    char warning[SEARCH_WARNING], hash_text[HASH_TEXT];
    uint64_t hash;
    TRY(check(run, kind, warning));
    TRY(run_open(run));
    interrupt_catch();
    if (warning[0] != '\0')
        TRY(log_say(run->log, "warning: %s", warning));
    if (cluster_first(run->cluster))
        TRY(prepare(run, options));
    TRY(run_hash(run, STEP_TRAIN, &hash, hash_text));
    return cluster_agree(run->cluster, hash, "the configuration");
}

/* Leaves the other ranks. A rank's own words name it; what all have met, and that all stop, is rank
 * 0's to say. */
static enum status leave(struct run *run, enum status status) {
    int rank = cluster_rank(run->cluster);
    bool silent;
    status = cluster_close(run->cluster, status, &silent);
    if (silent || (rank > 0 && status == STATUS_INTERRUPTED))
        failure_clear();
    else if (rank > 0 && status != STATUS_OK)
        return fail_in(status, "rank %d", rank);
    return status;
}

static enum status launch_again(const struct options *options, char **argv) {
    struct config config;
    const char *command = strchr(argv[0], ' ') + 1, *first = argv[0];
    TRY(options_read_config(options, &config)); /* else every rank would say what is wrong */
    config_release(&config);
    argv[0] = (char *)(uintptr_t)command;
    enum status status = launch(options->ranks, (const char *const *)argv);
    argv[0] = (char *)(uintptr_t)first;
    return status;
}

enum status steps_execute(const struct options *options, char **argv, enum steps_kind kind,
                          enum status (*work)(struct run *run, const struct options *options)) {
    struct run run;
    bool launches;
    TRY(launch_wanted(options->ranks, &launches));
    if (launches)
        return launch_again(options, argv);
    TRY(begin(&run, options));
    enum status status = cluster_open(&run.cluster, &run.config.cluster, options->ranks);
    if (status == STATUS_OK)
        status = begin_work(&run, options, kind);
    if (status == STATUS_OK)
        status = work(&run, options);
    if (status == STATUS_OK)
        status = cluster_await_first(run.cluster);
    run_close(&run);
    return leave(&run, status);
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

/* The description of the network to be trained, if it is not the one found. */
static enum status name_network(struct run *run, const struct options *options, const char *name) {
    TRY(search_must_be_done(run));
    if (options->point >= 0)
        return search_point(run, options->point, name);
    return options->sample >= 0 ? search_sample(run, options->sample, name) : STATUS_OK;
}

enum status steps_train(struct run *run, const struct options *options) {
    char name[32];
    steps_name(options, name);
    if (cluster_first(run->cluster))
        TRY(name_network(run, options, name));
    TRY(cluster_await_first(run->cluster));
    TRY(train_found(run, name));
    if (!cluster_first(run->cluster))
        return STATUS_OK;
    TRY(export_formats(run, options, name));
    TRY(evaluate(run, name));
    return report_done(run, name, strcmp(name, "found") == 0 ? "train" : name);
}
