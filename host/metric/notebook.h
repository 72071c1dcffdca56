/* latency.jsonl: every sub-network that a search measured, a line each with how and on what, so
 * that nothing is measured twice: neither in a run nor after a kill. */
#ifndef TAPER_NOTEBOOK_H
#define TAPER_NOTEBOOK_H

#include "metric/bench.h"
#include "report/json_lines.h"

struct notebook {
    struct json_lines lines; /* file -1: nothing is written */
    json_t *known;           /* sub-network, as a line of JSON -> milliseconds */
};

/* Takes up what was measured for the same search; lines of another one are set aside with the file,
 * as PATH.previous. The same search on another device is an error: the numbers would not compare.
 * A bench without a notebook has an empty one in memory. */
enum status notebook_open(struct notebook *notebook, const struct bench *bench,
                          const struct network *network);
void notebook_close(struct notebook *notebook);

/* found false: not measured yet. */
enum status notebook_find(const struct notebook *notebook, const struct network *network,
                          const struct subnetwork *sub, bool *found, double *milliseconds);
enum status notebook_add(struct notebook *notebook, const struct bench *bench,
                         const struct network *network, const struct subnetwork *sub,
                         const struct stopwatch_result *result);

/* The numbers of a measurement as JSON, milliseconds; NULL: no memory. */
json_t *latency_to_json(const struct stopwatch_result *result, const struct bench *bench);

#endif
