#include "search/found.h"
#include "search/sample_file.h"
#include "support/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_YAML_BYTES = 1 << 20, HASH_LINE = 64 };

static const size_t MOST_SAMPLE_BYTES = (size_t)1 << 30;

static const char samples_key[] = "samples_hash ";

/* The line of found.yaml that says which keys it belongs to. */
static enum status hash_line(const struct run *run, char line[HASH_LINE]) {
    uint64_t hash;
    char text[HASH_TEXT];
    TRY(run_hash(run, STEP_SEARCH, &hash, text));
    snprintf(line, HASH_LINE, "config_hash %s", text);
    return STATUS_OK;
}

/* The line that says which samples it was found among. */
static enum status samples_line(const struct run *run, char line[HASH_LINE]) {
    char path[RUN_PATH], *text;
    size_t size;
    TRY(file_read(run_path(run, "search.jsonl", path), MOST_SAMPLE_BYTES, &text, &size));
    snprintf(line, HASH_LINE, "%s%016" PRIx64, samples_key, hash_bytes(HASH_START, text, size));
    free(text);
    return STATUS_OK;
}

static enum status check_samples(const struct run *run, const char *found) {
    char line[HASH_LINE];
    enum status status = samples_line(run, line);
    if (status == STATUS_FAILED || (status == STATUS_OK && strstr(found, line) != NULL))
        return status;
    failure_clear();
    return fail(STATUS_USAGE,
                "%s/search.jsonl is missing, damaged or changed: it is not what found.yaml was "
                "found in; put it back, or remove found.yaml to go on from the samples that are "
                "there",
                run->folder);
}

enum status search_is_done(const struct run *run, bool *done) {
    char path[RUN_PATH], line[HASH_LINE], *text;
    size_t size;
    *done = false;
    if (!file_exists(run_path(run, "found.yaml", path)))
        return STATUS_OK;
    TRY(hash_line(run, line));
    TRY(file_read(path, MOST_YAML_BYTES, &text, &size));
    *done = strstr(text, line) != NULL && strstr(text, samples_key) != NULL;
    enum status status = *done ? check_samples(run, text) : STATUS_OK;
    free(text);
    return status;
}

enum status search_must_be_done(const struct run *run) {
    bool done;
    TRY(search_is_done(run, &done));
    if (!done)
        return fail(STATUS_USAGE,
                    "%s has no search with these keys yet; search with `taper search`",
                    run->folder);
    return STATUS_OK;
}

enum status found_write(const struct run *run, const struct search_space *space,
                        const struct sample *sample, const char *name) {
    char path[RUN_PATH], line[HASH_LINE], samples[HASH_LINE], metrics[256], head[512];
    TRY(hash_line(run, line));
    TRY(samples_line(run, samples));
    space_describe(space, sample, metrics, sizeof metrics);
    snprintf(head, sizeof head,
             "found by taper: sample %d of search.jsonl\n%s\n%.2f %% of the hold-out images right "
             "with the super-network's weights\n%s\n%s",
             sample->number, metrics, 100 * sample->score, line, samples);
    struct network alone;
    TRY(network_extract(&alone, space->network, &sample->sub));
    enum status status = network_write(&alone, run_path(run, name, path), head);
    network_release(&alone);
    return status;
}

static enum status find_point(const struct sample *samples, int count, int point,
                              const struct sample **sample) {
    int points = 0;
    for (int i = 0; i < count; i++) {
        if (!samples[i].chosen)
            continue;
        *sample = &samples[i];
        if (points++ == point)
            return STATUS_OK;
    }
    return fail(STATUS_USAGE, "--point %d: the trade-off curve has the points 0 to %d", point,
                points - 1);
}

static enum status find_sample(const struct sample *samples, int count, int number,
                               const struct sample **sample) {
    if (number >= count)
        return fail(STATUS_USAGE, "--sample %d: search.jsonl has the samples 0 to %d", number,
                    count - 1);
    *sample = &samples[number];
    return STATUS_OK;
}

typedef enum status find_network(const struct sample *samples, int count, int number,
                                 const struct sample **sample);

static enum status write_another(struct run *run, find_network *find, int number,
                                 const char *name) {
    char path[RUN_PATH], file[64], hash_text[HASH_TEXT];
    uint64_t hash;
    struct search_space space = {0};
    struct sample *samples = NULL;
    const struct sample *sample;
    int count;
    enum status status;
    TRY(search_must_be_done(run));
    TRY(run_hash(run, STEP_SEARCH, &hash, hash_text));
    TRY_CLEANUP(space_create(&space, run));
    TRY_CLEANUP(
        samples_read(run_path(run, "search.jsonl", path), &space, hash_text, &samples, &count));
    TRY_CLEANUP(find(samples, count, number, &sample));
    snprintf(file, sizeof file, "%s.yaml", name);
    TRY_CLEANUP(found_write(run, &space, sample, file));
done:
    free(samples);
    space_release(&space);
    return status;
}

enum status search_point(struct run *run, int point, const char *name) {
    return write_another(run, find_point, point, name);
}

enum status search_sample(struct run *run, int number, const char *name) {
    return write_another(run, find_sample, number, name);
}
