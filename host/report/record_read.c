#include "report/record_read.h"
#include "support/file.h"
#include "support/json.h"
#include "training/train_found.h"
#include "training/weights_file.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

static void take_name(struct run_record *record, const char *folder) {
    char whole[PATH_MAX];
    const char *path = realpath(folder, whole) ? whole : folder;
    const char *slash = strrchr(path, '/');
    snprintf(record->name, sizeof record->name, "%.250s", slash && slash[1] ? slash + 1 : path);
}

static enum status read_config(struct run_record *record) {
    char path[RECORD_PATH];
    size_t size;
    if (!file_exists(record_path(record, "config.yaml", path)))
        return fail(STATUS_USAGE, "%s is no run folder: it has no config.yaml", record->folder);
    TRY(file_read(path, MOST_BYTES, &record->config_text, &size));
    return config_read(&record->config, path, NULL, 0);
}

/* Metrics of commands are known once the search measured the initial network. */
static void take_initial(struct run_record *record) {
    const struct network *network = &record->config.network;
    const struct search_config *search = &record->config.search;
    struct subnetwork largest = subnetwork_largest(network);
    struct cost cost = network_cost(network, &largest);
    for (int i = 0; i < search->budget_count; i++) {
        const char *name = search->budgets[i].metric.name;
        record->initial[i] = strcmp(name, "macs") == 0         ? cost.macs
                             : strcmp(name, "parameters") == 0 ? cost.parameters
                                                               : NAN;
    }
}

static void take_budgets(struct run_record *record) {
    const struct search_config *search = &record->config.search;
    for (int i = 0; i < search->budget_count; i++)
        record->budgets[i] = search->budgets[i].value > 0
                                 ? search->budgets[i].value
                                 : search->budgets[i].share * record->initial[i];
}

/* found.yaml, if it is of these keys, and the hash that a training of it carries. */
static enum status read_found(struct run_record *record, char trained[17]) {
    char path[RECORD_PATH], *text, line[64];
    uint64_t hash;
    size_t size;
    trained[0] = '\0';
    if (!file_exists(record_path(record, "found.yaml", path)))
        return STATUS_OK;
    TRY(config_hash(&record->config, STEP_SEARCH, &hash));
    snprintf(line, sizeof line, "config_hash %016" PRIx64, hash);
    TRY(file_read(path, MOST_BYTES, &text, &size));
    record->search_done = strstr(text, line) != NULL;
    enum status status = found_hash(&record->config, text, size, &hash);
    free(text);
    snprintf(trained, 17, "%016" PRIx64, hash);
    if (status != STATUS_OK || !record->search_done)
        return status;
    network_release(&record->network);
    record->has_network = false;
    TRY(network_read(&record->network, path));
    record->has_network = true;
    if (record->network.layer_count != record->config.network.layer_count)
        return fail(STATUS_USAGE, "%s has %d layers where config.yaml has %d", path,
                    record->network.layer_count, record->config.network.layer_count);
    return STATUS_OK;
}

static void take_files(struct run_record *record) {
    char path[RECORD_PATH];
    record->supernet_done = file_exists(record_path(record, "supernet.safetensors", path));
    record->training = file_exists(record_path(record, "found.state.safetensors", path));
}

static enum status read_accuracy(struct run_record *record, const char *trained) {
    char path[RECORD_PATH], text[64], *end;
    record_path(record, "found.safetensors", path);
    TRY(weights_metadata(path, NULL, "config_hash", text, sizeof text));
    record->trained_otherwise =
        text[0] != '\0' && !(record->search_done && strcmp(text, trained) == 0);
    if (text[0] == '\0' || record->trained_otherwise)
        return STATUS_OK;
    TRY(weights_metadata(path, NULL, "test_accuracy", text, sizeof text));
    record->test_accuracy = strtod(text, &end);
    if (end == text)
        return fail(STATUS_USAGE, "%s does not say its accuracy", path);
    return STATUS_OK;
}

static enum status read_times(struct run_record *record) {
    static const char *const names[] = {"supernet", "search", "train"};
    char path[RECORD_PATH], *text;
    size_t size;
    if (!file_exists(record_path(record, "times.json", path)))
        return STATUS_OK;
    TRY(file_read(path, MOST_BYTES, &text, &size));
    json_error_t error;
    json_t *times = json_read(text, size, &error);
    free(text);
    if (json_lacked_memory())
        return fail(STATUS_FAILED, "no memory for %s", path);
    if (!json_is_object(times)) {
        json_decref(times);
        return fail(STATUS_USAGE, "%s is not a JSON object", path);
    }
    enum status status = STATUS_OK;
    for (int i = 0; i < RECORD_STEPS && status == STATUS_OK; i++) {
        const json_t *seconds = json_object_get(times, names[i]);
        record->seconds[i] = json_number_value(seconds);
        if (seconds && !(json_is_number(seconds) && record->seconds[i] >= 0))
            status = fail(STATUS_USAGE, "%s: \"%s\" is not a number of seconds", path, names[i]);
    }
    json_decref(times);
    return status;
}

enum status record_read(struct run_record *record, const char *folder) {
    char trained[17];
    *record = (struct run_record){.test_accuracy = NAN};
    if (strlen(folder) >= 500)
        return fail(STATUS_USAGE, "the folder's name %.60s... is too long", folder);
    snprintf(record->folder, sizeof record->folder, "%s", folder);
    take_name(record, folder);
    TRY(read_config(record));
    take_files(record);
    take_initial(record);
    TRY(record_read_search(record));
    take_budgets(record);
    TRY(read_found(record, trained));
    TRY(read_accuracy(record, trained));
    TRY(record_read_log(record));
    TRY(read_times(record));
    return record_read_evaluation(record);
}
