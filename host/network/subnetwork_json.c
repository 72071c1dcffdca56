#include "network/subnetwork_json.h"

#include <string.h>

json_t *subnetwork_to_json(const struct network *network, const struct subnetwork *sub) {
    json_t *json = json_object();
    for (int i = 0; i < network->choice_count; i++) {
        json_t *value = json_integer(subnetwork_value(network, sub, i));
        if (json_object_set_new(json, network->choices[i].name, value) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static enum status option_of(const struct choice *choice, const json_t *value, short *option) {
    if (!json_is_integer(value))
        return fail(STATUS_USAGE, "sub-network: \"%s\" is missing or no integer", choice->name);
    for (int i = 0; i < choice->count; i++) {
        if (choice->options[i] == json_integer_value(value)) {
            *option = (short)i;
            return STATUS_OK;
        }
    }
    return fail(STATUS_USAGE, "sub-network: \"%s\" is %lld, which is none of its options",
                choice->name, (long long)json_integer_value(value));
}

static enum status check_names(const struct network *network, const json_t *json) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value) {
        bool found = false;
        for (int i = 0; i < network->choice_count && !found; i++)
            found = strcmp(name, network->choices[i].name) == 0;
        if (!found)
            return fail(STATUS_USAGE, "sub-network: this network has no choice \"%s\"", name);
    }
    return STATUS_OK;
}

enum status subnetwork_from_json(const struct network *network, const json_t *json,
                                 struct subnetwork *sub) {
    if (!json_is_object(json))
        return fail(STATUS_USAGE, "sub-network: not an object of choices and their values");
    TRY(check_names(network, json));
    *sub = (struct subnetwork){0};
    for (int i = 0; i < network->choice_count; i++) {
        const struct choice *choice = &network->choices[i];
        TRY(option_of(choice, json_object_get(json, choice->name), &sub->option[i]));
    }
    *sub = subnetwork_canonical(network, *sub);
    return STATUS_OK;
}
