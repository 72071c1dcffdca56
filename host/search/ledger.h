/* What a search already knows of sub-networks: values of metrics and scores, so that nothing slow
 * is measured and nothing is scored twice.
 */
#ifndef TAPER_LEDGER_H
#define TAPER_LEDGER_H

#include "search/strategy.h"

struct ledger_entry {
    double metrics[MAX_BUDGETS]; /* NaN: unknown */
    double score;                /* NaN: not scored yet */
    unsigned char key[];         /* one option per choice */
};

struct ledger {
    int choices, count, room; /* room is a power of 2, or 0 */
    struct ledger_entry **entries;
};

void ledger_release(struct ledger *ledger); /* a zeroed one is fine */

/* The entry of a canonical sub-network; NULL when there is none. */
struct ledger_entry *ledger_find(const struct ledger *ledger, const struct subnetwork *sub);

/* The same, made when there is none. Valid until the release. */
enum status ledger_entry(struct ledger *ledger, const struct subnetwork *sub,
                         struct ledger_entry **entry);

#endif
