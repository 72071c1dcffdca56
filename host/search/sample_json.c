/* Samples as lines of search.jsonl, and the way back into a strategy. */
#include "network/subnetwork_json.h"
#include "search/strategy.h"

#include <math.h>

static json_t *metrics_to_json(const struct search_space *space, const struct sample *sample) {
    json_t *json = json_object();
    for (int i = 0; i < space->metric_count; i++) {
        if (json_object_set_new(json, metric_name(space->metrics[i]),
                                json_real(sample->metrics[i])) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

json_t *sample_to_json(const struct search_space *space, const struct sample *sample) {
    return json_pack("{s:i, s:i, s:i, s:o, s:o, s:f, s:b}", "number", sample->number, "iteration",
                     sample->iteration, "iteration_samples", sample->iteration_samples,
                     "subnetwork", subnetwork_to_json(space->network, &sample->sub), "metrics",
                     metrics_to_json(space, sample), "score", sample->score, "chosen",
                     (int)sample->chosen);
}

static enum status metrics_from_json(const struct search_space *space, const json_t *json,
                                     struct sample *sample) {
    for (int i = 0; i < space->metric_count; i++) {
        const char *name = metric_name(space->metrics[i]);
        const json_t *value = json_object_get(json, name);
        if (!json_is_number(value))
            return fail(STATUS_USAGE, "sample: its metric \"%s\" is missing or no number", name);
        sample->metrics[i] = json_number_value(value);
    }
    return STATUS_OK;
}

enum status sample_from_json(const struct search_space *space, const json_t *json,
                             struct sample *sample) {
    *sample = (struct sample){0};
    const json_t *sub, *metrics;
    int chosen;
    json_error_t error;
    if (json_unpack_ex((json_t *)json, &error, JSON_STRICT, "{s:i, s:i, s:i, s:o, s:o, s:F, s:b}",
                       "number", &sample->number, "iteration", &sample->iteration,
                       "iteration_samples", &sample->iteration_samples, "subnetwork", &sub,
                       "metrics", &metrics, "score", &sample->score, "chosen", &chosen) != 0)
        return fail(STATUS_USAGE, "sample: %s", error.text);
    sample->chosen = chosen;
    TRY(metrics_from_json(space, metrics, sample));
    return subnetwork_from_json(space->network, sub, &sample->sub);
}
