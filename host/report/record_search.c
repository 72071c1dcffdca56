/* search.jsonl for a report. */
#include "network/subnetwork_json.h"
#include "report/json_lines.h"
#include "report/record_read.h"
#include "support/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static enum status read_metrics(const struct run_record *record, const json_t *metrics,
                                double *values) {
    const struct search_config *search = &record->config.search;
    for (int i = 0; i < search->budget_count; i++) {
        const char *name = search->budgets[i].metric.name;
        const json_t *value = json_object_get(metrics, name);
        if (!json_is_number(value))
            return fail(STATUS_USAGE, "its metric \"%s\" is missing or no number", name);
        values[i] = json_number_value(value);
    }
    return STATUS_OK;
}

static enum status read_sample(const struct run_record *record, const json_t *line,
                               struct sample_record *sample, const json_t **sub) {
    const json_t *metrics;
    int chosen;
    json_error_t error;
    if (json_unpack_ex((json_t *)line, &error, 0, "{s:i, s:i, s:o, s:o, s:F, s:b}", "number",
                       &sample->number, "iteration", &sample->iteration, "subnetwork", sub,
                       "metrics", &metrics, "score", &sample->score, "chosen", &chosen) != 0)
        return fail(STATUS_USAGE, "not a sample: %s", error.text);
    sample->chosen = chosen;
    return read_metrics(record, metrics, sample->metrics);
}

static bool is_of(const json_t *line, const char *hash) {
    const char *theirs = json_string_value(json_object_get(line, "config_hash"));
    return theirs && strcmp(theirs, hash) == 0;
}

/* The current network of a search that is under way. */
static enum status take_network(struct run_record *record, const json_t *sub) {
    struct subnetwork kept;
    TRY(subnetwork_from_json(&record->config.network, sub, &kept));
    network_release(&record->network);
    TRY(network_extract(&record->network, &record->config.network, &kept));
    record->has_network = true;
    return STATUS_OK;
}

/* Most strategies measure the initial network first. */
static enum status take_initial(struct run_record *record, const json_t *sub) {
    struct subnetwork kept, largest = subnetwork_largest(&record->config.network);
    TRY(subnetwork_from_json(&record->config.network, sub, &kept));
    for (int i = 0; i < record->config.search.budget_count; i++)
        if (isnan(record->initial[i]) && subnetwork_equal(&kept, &largest))
            record->initial[i] = record->samples[0].metrics[i];
    return STATUS_OK;
}

static enum status read_lines(struct run_record *record, const json_t *lines, int *at) {
    int count = (int)json_array_size(lines);
    const json_t *sub, *last = NULL;
    TRY(allocate(&record->samples, (size_t)count, sizeof *record->samples, "the samples"));
    for (*at = 0; *at < count; ++*at) {
        struct sample_record *sample = &record->samples[*at];
        TRY(read_sample(record, json_array_get(lines, (size_t)*at), sample, &sub));
        record->sample_count++;
        if (*at == 0)
            TRY(take_initial(record, sub));
        if (sample->chosen)
            last = sub;
    }
    return last ? take_network(record, last) : STATUS_OK;
}

enum status record_read_search(struct run_record *record) {
    char path[RECORD_PATH], text[17];
    uint64_t hash;
    int at = 0;
    json_t *lines;
    enum status status = STATUS_OK;
    TRY(config_hash(&record->config, STEP_SEARCH, &hash));
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    TRY(json_lines_read(record_path(record, "search.jsonl", path), &lines));
    if (json_array_size(lines) > 0 && is_of(json_array_get(lines, 0), text))
        status = read_lines(record, lines, &at);
    json_decref(lines);
    return status == STATUS_OK ? status : fail_in(status, "%s:%d", path, at + 1);
}
