#include "metric/notebook.h"
#include "network/subnetwork_json.h"
#include "support/file.h"
#include "support/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_memory[] = "no memory for what was measured";

static enum status key_of(const struct network *network, const struct subnetwork *sub, char **key) {
    struct subnetwork canonical = subnetwork_canonical(network, *sub);
    json_t *json = subnetwork_to_json(network, &canonical);
    *key = json ? json_text(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *key ? STATUS_OK : fail(STATUS_FAILED, "%s", no_memory);
}

static enum status remember(struct notebook *notebook, const struct network *network,
                            const struct subnetwork *sub, double milliseconds) {
    char *key;
    TRY(key_of(network, sub, &key));
    int error = json_object_set_new(notebook->known, key, json_real(milliseconds));
    free(key);
    return error ? fail(STATUS_FAILED, "%s", no_memory) : STATUS_OK;
}

static enum status take_up_line(struct notebook *notebook, const struct bench *bench,
                                const struct network *network, const json_t *line) {
    const char *device = json_string_value(json_object_get(line, "device"));
    const json_t *latency = json_object_get(line, "latency");
    struct subnetwork sub;
    if (device == NULL || !json_is_number(latency))
        return fail(STATUS_USAGE, "a line lacks its device or its latency");
    if (strcmp(device, bench->device) != 0)
        return fail(
            STATUS_USAGE,
            "this search was measured on \"%s\", and this is \"%s\": go on there, or remove "
            "this file and search.jsonl to begin anew",
            device, bench->device);
    TRY(subnetwork_from_json(network, json_object_get(line, "subnetwork"), &sub));
    return remember(notebook, network, &sub, json_number_value(latency));
}

static bool of_search(const json_t *line, const char *search) {
    const char *theirs = json_string_value(json_object_get(line, "config_hash"));
    return theirs != NULL && strcmp(theirs, search) == 0;
}

static enum status take_up(struct notebook *notebook, const struct bench *bench,
                           const struct network *network) {
    json_t *lines;
    enum status status = STATUS_OK;
    TRY(json_lines_read(bench->notebook, &lines));
    size_t count = json_array_size(lines);
    bool ours = count == 0 || of_search(json_array_get(lines, 0), bench->search);
    for (size_t i = 0; ours && i < count && status == STATUS_OK; i++)
        status = take_up_line(notebook, bench, network, json_array_get(lines, i));
    json_decref(lines);
    if (ours || !bench->notes)
        return status;
    char previous[620];
    snprintf(previous, sizeof previous, "%s.previous", bench->notebook);
    return file_move(bench->notebook, previous);
}

enum status notebook_open(struct notebook *notebook, const struct bench *bench,
                          const struct network *network) {
    *notebook = (struct notebook){.lines.file = -1, .known = json_object()};
    if (notebook->known == NULL)
        return fail(STATUS_FAILED, "%s", no_memory);
    if (bench->notebook[0] == '\0')
        return STATUS_OK;
    enum status status = take_up(notebook, bench, network);
    if (status == STATUS_OK && bench->notes)
        status = json_lines_open(&notebook->lines, bench->notebook);
    if (status != STATUS_OK)
        notebook_close(notebook);
    return status == STATUS_OK ? status : fail_in(status, "%s", bench->notebook);
}

void notebook_close(struct notebook *notebook) {
    json_lines_close(&notebook->lines);
    json_decref(notebook->known);
    notebook->known = NULL;
}

enum status notebook_find(const struct notebook *notebook, const struct network *network,
                          const struct subnetwork *sub, bool *found, double *milliseconds) {
    char *key;
    TRY(key_of(network, sub, &key));
    const json_t *known = json_object_get(notebook->known, key);
    free(key);
    *found = known != NULL;
    if (known)
        *milliseconds = json_real_value(known);
    return STATUS_OK;
}

json_t *latency_to_json(const struct stopwatch_result *result, const struct bench *bench) {
    const struct median *median = &result->median;
    return json_pack("{s:f, s:f, s:f, s:i, s:i, s:i, s:f, s:f, s:b, s:b, s:i, s:i, s:s}", "latency",
                     1e3 * median->value, "low", 1e3 * median->low, "high", 1e3 * median->high,
                     "repetitions", result->repetitions, "series", result->series, "outliers",
                     result->outliers, "drift", result->drift, "waited", result->waited, "narrow",
                     (int)result->narrow, "steady", (int)result->steady, "batch_images",
                     bench->latency.batch_images, "threads", bench->latency.threads, "device",
                     bench->device);
}

enum status notebook_add(struct notebook *notebook, const struct bench *bench,
                         const struct network *network, const struct subnetwork *sub,
                         const struct stopwatch_result *result) {
    TRY(remember(notebook, network, sub, 1e3 * result->median.value));
    if (notebook->lines.file < 0)
        return STATUS_OK;
    struct subnetwork canonical = subnetwork_canonical(network, *sub);
    json_t *line = latency_to_json(result, bench);
    if (line == NULL ||
        json_object_set_new(line, "subnetwork", subnetwork_to_json(network, &canonical)) != 0 ||
        json_object_set_new(line, "config_hash", json_string(bench->search)) != 0) {
        json_decref(line);
        return fail(STATUS_FAILED, "%s", no_memory);
    }
    TRY(json_lines_append(&notebook->lines, line));
    return json_lines_sync(&notebook->lines);
}
