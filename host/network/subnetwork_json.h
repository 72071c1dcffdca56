/* A sub-network as JSON: {"CHOICE NAME": VALUE, ...}, every choice of the network in its order.
 * What an outside command is asked and what search.jsonl keeps. Of an absent block ("present": 0)
 * the other values mean nothing.
 */
#ifndef TAPER_SUBNETWORK_JSON_H
#define TAPER_SUBNETWORK_JSON_H

#include "network/network.h"
#include "support/status.h"
#include <jansson.h>

/* The caller's to json_decref(); NULL when there is no memory. */
json_t *subnetwork_to_json(const struct network *network, const struct subnetwork *sub);

/* Canonical. Missing and unknown choices and values that are no options are errors. */
enum status subnetwork_from_json(const struct network *network, const json_t *json,
                                 struct subnetwork *sub);

#endif
